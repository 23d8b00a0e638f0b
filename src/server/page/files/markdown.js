// Markdown to nodes of the document: headings, lists, quotes, code, emphasis and links. Text only ever becomes text nodes,
// never HTML, so that nothing a model says can run.

const INLINE = /(`+)([\s\S]+?)\1|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^()\s]+)\)/g;

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function link(text, target) {
  if (!/^https?:\/\//i.test(target)) return text;
  const node = element("a", text);
  node.href = target;
  node.rel = "noopener noreferrer nofollow";
  node.target = "_blank";
  return node;
}

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[2] !== undefined) nodes.push(element("code", match[2]));
    else if (match[3] !== undefined) nodes.push(element("strong", match[3]));
    else if (match[4] !== undefined) nodes.push(element("em", match[4]));
    else nodes.push(link(match[5], match[6]));
  }
  nodes.push(text.slice(end));
  return nodes.filter((node) => node !== "");
}

const LINE = /^(?:(#{1,6}) +(.*)|[-*+] +(.*)|\d+[.)] +(.*)|> ?(.*)|(```|~~~).*)$/;

export function markdown(text) {
  const blocks = document.createDocumentFragment();
  const lines = text.split("\n");
  let open = null;  // the paragraph, list or quote that goes on
  const into = (name) => {
    if (open?.localName !== name) blocks.append((open = element(name)));
    return open;
  };
  for (let i = 0; i < lines.length; ++i) {
    const line = lines[i];
    const match = LINE.exec(line.trimStart());
    if (line.trim() === "") {
      open = null;
    } else if (!match) {
      const paragraph = open?.localName === "p" ? open : into("p");
      if (paragraph.hasChildNodes()) paragraph.append("\n");
      paragraph.append(...inline(line));
    } else if (match[6]) {
      const code = [];
      for (++i; i < lines.length && !lines[i].trimStart().startsWith(match[6]); ++i) code.push(lines[i]);
      blocks.append(element("pre", element("code", code.join("\n"))));
      open = null;
    } else if (match[1]) {
      blocks.append(element(`h${Math.min(6, match[1].length + 2)}`, ...inline(match[2])));
      open = null;
    } else if (match[3] !== undefined) {
      into("ul").append(element("li", ...inline(match[3])));
    } else if (match[4] !== undefined) {
      into("ol").append(element("li", ...inline(match[4])));
    } else {
      into("blockquote").append(...inline(match[5] ?? ""), "\n");
    }
  }
  return blocks;
}
