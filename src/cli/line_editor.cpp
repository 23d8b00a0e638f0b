// Line editing by libedit.
#include "cli/line_editor.h"

#include <histedit.h>
#include <termios.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <istream>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <utility>

#include "cli/console.h"

namespace mlxs {
namespace {

class PlainLines final : public LineSource {
 public:
  explicit PlainLines(std::istream& in) : in_(in) {}

  Line read() override {
    std::string text;
    if (!std::getline(in_, text)) return {};
    if (text.ends_with('\r')) text.pop_back();
    return {Line::Kind::text, std::move(text)};
  }

 private:
  std::istream& in_;
};

// libedit reads characters by the locale; a machine without one still talks UTF-8.
void use_utf8() {
  // NOLINTBEGIN(concurrency-mt-unsafe): no other thread of the program asks for the locale
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1 && std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr)
    std::setlocale(LC_CTYPE, "en_US.UTF-8");
  // NOLINTEND(concurrency-mt-unsafe)
}

// While a line is edited Ctrl-C is a key, which drops the line; at all other times it is a signal.
class InterruptKeyIsText {
 public:
  InterruptKeyIsText() : is_terminal_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_terminal_) return;
    termios without = before_;
    without.c_cc[VINTR] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &without);
  }
  ~InterruptKeyIsText() {
    if (is_terminal_) tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  InterruptKeyIsText(const InterruptKeyIsText&) = delete;
  InterruptKeyIsText& operator=(const InterruptKeyIsText&) = delete;

 private:
  termios before_{};
  bool is_terminal_;
};

class EditedLines final : public LineSource {
 public:
  explicit EditedLines(Console& console) : console_(console) {
    use_utf8();
    if (console.has_colour) prompt_ = "\x01\x1b[1;36m\x01> \x01\x1b[0m\x01";
    editor_.reset(el_init("mlx-serving", stdin, stdout, stderr));
    history_.reset(history_init());
    if (!editor_ || !history_) throw std::bad_alloc();
    HistEvent event;
    history(history_.get(), &event, H_SETSIZE, kHistorySize);
    history(history_.get(), &event, H_SETUNIQUE, 1);
    EditLine* const el = editor_.get();
    el_set(el, EL_CLIENTDATA, this);
    el_set(el, EL_PROMPT_ESC, &EditedLines::prompt, '\x01');
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_HIST, history, history_.get());
    el_source(el, nullptr);
    // While a line is edited Ctrl-C is a key that drops the line; at all other times it is a
    // signal.
    el_set(el, EL_ADDFN, "mlxs-interrupt", "drop the line", &EditedLines::interrupt);
    el_set(el, EL_SETTY, "-d", "intr=", nullptr);
    el_set(el, EL_BIND, "^C", "mlxs-interrupt", nullptr);
  }

  Line read() override {
    const InterruptKeyIsText key_is_text;
    console_.out.flush();
    is_interrupted_ = false;
    // Left to itself, libedit shows the prompt first, and a Ctrl-D typed in between is lost.
    el_set(editor_.get(), EL_PREP_TERM, 1);
    int num_bytes = 0;
    const char* const bytes = el_gets(editor_.get(), &num_bytes);
    if (is_interrupted_) {
      console_.out << "^C\n" << std::flush;
      return {Line::Kind::interrupted, ""};
    }
    if (bytes == nullptr || num_bytes <= 0) {
      console_.out << '\n' << std::flush;
      return {};
    }
    std::string text(bytes, static_cast<std::size_t>(num_bytes));
    if (text.ends_with('\n')) text.pop_back();
    HistEvent event;
    if (!text.empty()) history(history_.get(), &event, H_ENTER, text.c_str());
    return {Line::Kind::text, std::move(text)};
  }

 private:
  static constexpr int kHistorySize = 1000;

  struct Close {
    void operator()(EditLine* editor) const { el_end(editor); }
    void operator()(History* lines) const { history_end(lines); }
  };

  static EditedLines& self(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<EditedLines*>(data);
  }

  static char* prompt(EditLine* editor) { return self(editor).prompt_.data(); }

  static unsigned char interrupt(EditLine* editor, int) {
    self(editor).is_interrupted_ = true;
    return CC_EOF;
  }

  Console& console_;
  std::string prompt_ = "> ";
  std::unique_ptr<History, Close> history_;
  std::unique_ptr<EditLine, Close> editor_;
  bool is_interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineSource> make_line_source(Console& console) {
  if (console.is_in_terminal && console.is_out_terminal)
    return std::make_unique<EditedLines>(console);
  return std::make_unique<PlainLines>(console.in);
}

}  // namespace mlxs
