// What a constraint's text means is the engine's business; here only its shape is looked at.
#include "server/door/constraint_fields.h"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "server/door/neutral_fields.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

// A grammar's rules are written with "::=" in GBNF, and with ":" in Lark.
Constraint grammar_constraint(std::string_view text, const std::string& path) {
  const bool is_gbnf = text.find("::=") != std::string_view::npos;
  return {
      .kind = is_gbnf ? ConstraintKind::gbnf : ConstraintKind::lark,
      .text = std::string(text),
      .param = path
  };
}

Constraint choice_constraint(const json::array& choices, const std::string& path) {
  for (std::size_t i = 0; i < choices.size(); ++i)
    static_cast<void>(checked_string(choices[i], element_path(path, i)));
  return {.kind = ConstraintKind::choice, .text = json::serialize(choices), .param = path};
}

// vLLM takes it as JSON in a string, too.
Constraint tag_constraint(const json::value& value, const std::string& path) {
  if (!value.is_object() && !value.is_string())
    throw_wrong_type(path, "an object or a string", value);
  const std::string text =
      value.is_string() ? std::string(to_view(value.get_string())) : json::serialize(value);
  return {.kind = ConstraintKind::structural_tag, .text = text, .param = path};
}

// Names of one family's members; null where it has none of that kind.
struct Names {
  std::string_view schema;
  std::string_view regex;
  std::string_view choice;
  std::string_view grammar;
};

void add_common(FieldReader& fields, const Names& names, std::vector<Constraint>& found) {
  if (const json::value* schema = fields.any(names.schema))
    found.push_back(schema_constraint(*schema, fields.path_of(names.schema)));
  if (const auto regex = fields.string(names.regex))
    found.push_back(
        {.kind = ConstraintKind::regex,
         .text = std::string(*regex),
         .param = fields.path_of(names.regex)}
    );
  if (const json::array* choices = fields.array(names.choice))
    found.push_back(choice_constraint(*choices, fields.path_of(names.choice)));
  if (const auto grammar = fields.string(names.grammar))
    found.push_back(grammar_constraint(*grammar, fields.path_of(names.grammar)));
}

void refuse_if_true(FieldReader& fields, std::string_view name) {
  if (fields.boolean(name).value_or(false)) throw_unsupported(fields.path_of(name));
}

void add_structured_outputs(FieldReader& body, std::vector<Constraint>& found) {
  const json::value* value = body.any("structured_outputs");
  if (value == nullptr) return;
  FieldReader fields(*value, body.path_of("structured_outputs"));
  const std::size_t num_before = found.size();
  add_common(fields, {"json", "regex", "choice", "grammar"}, found);
  if (fields.boolean("json_object").value_or(false))
    found.push_back(
        {.kind = ConstraintKind::json_object, .text = {}, .param = fields.path_of("json_object")}
    );
  if (const json::value* tag = fields.any("structural_tag"))
    found.push_back(tag_constraint(*tag, fields.path_of("structural_tag")));
  // Nothing falls back here.
  static_cast<void>(fields.boolean("disable_fallback"));
  refuse_if_true(fields, "disable_any_whitespace");
  refuse_if_true(fields, "disable_additional_properties");
  fields.refuse({"whitespace_pattern"});
  fields.finish();
  if (found.size() > num_before) return;
  const std::string path = body.path_of("structured_outputs");
  throw Error(
      ErrorCode::invalid_value,
      path + " must have one of json, regex, choice, grammar, json_object and structural_tag",
      path
  );
}

std::optional<Constraint> schema_of_format(FieldReader& format, const std::string& path) {
  // OpenAI's chat has the schema one level deeper than its responses.
  const json::value* wrapped = format.any("json_schema");
  const json::value* schema = format.any("schema");
  if (wrapped == nullptr) {
    format.accept({"name", "description", "strict"});
    if (schema != nullptr) return schema_constraint(*schema, path + ".schema");
    throw Error(
        ErrorCode::invalid_request, path + ".json_schema is missing", path + ".json_schema"
    );
  }
  const std::string inner_path = path + ".json_schema";
  FieldReader inner(*wrapped, inner_path);
  static_cast<void>(inner.string("name"));
  static_cast<void>(inner.string("description"));
  static_cast<void>(inner.boolean("strict"));  // schemas are always kept to
  const json::value* inner_schema = inner.any("schema");
  inner.finish();
  if (inner_schema != nullptr) return schema_constraint(*inner_schema, inner_path + ".schema");
  throw Error(
      ErrorCode::invalid_request, inner_path + ".schema is missing", inner_path + ".schema"
  );
}

}  // namespace

Constraint schema_constraint(const json::value& schema, const std::string& path) {
  if (!schema.is_object() && !schema.is_string() && !schema.is_bool())
    throw_wrong_type(path, "a JSON schema", schema);
  std::string text =
      schema.is_string() ? std::string(to_view(schema.get_string())) : json::serialize(schema);
  return {.kind = ConstraintKind::json_schema, .text = std::move(text), .param = path};
}

std::optional<Constraint> read_format(const json::value& value, const std::string& path) {
  FieldReader format(value, path);
  const auto type = format.word("type", {"text", "json_object", "json_schema", "structural_tag"});
  if (!type) throw Error(ErrorCode::invalid_request, path + ".type is missing", path + ".type");
  std::optional<Constraint> constraint;
  if (*type == "json_schema") {
    constraint = schema_of_format(format, path);
  } else if (*type == "json_object") {
    // llama-server's clients add a schema.
    const json::value* schema = format.any("schema");
    constraint = schema != nullptr ? schema_constraint(*schema, path + ".schema")
                                   : Constraint{.kind = ConstraintKind::json_object, .param = path};
  } else if (*type == "structural_tag") {
    json::object tag = value.as_object();
    tag.erase("type");
    format.accept({"format", "structures", "triggers"});
    constraint = tag_constraint(tag, path);
  }
  format.finish();
  return constraint;
}

std::optional<Constraint> read_constraint(FieldReader& fields) {
  std::vector<Constraint> found;
  if (const json::value* format = fields.any("response_format")) {
    if (auto constraint = read_format(*format, fields.path_of("response_format")))
      found.push_back(std::move(*constraint));
  }
  add_structured_outputs(fields, found);
  add_common(fields, {"guided_json", "guided_regex", "guided_choice", "guided_grammar"}, found);
  static_cast<void>(fields.string("guided_decoding_backend"));  // there is one
  fields.refuse({"guided_whitespace_pattern"});
  if (found.empty()) return std::nullopt;
  if (found.size() == 1) return std::move(found.front());
  throw Error(
      ErrorCode::invalid_value,
      fmt::format(
          "{} and {} are two constraints; give one of them", found[0].param, found[1].param
      ),
      found[1].param
  );
}

}  // namespace mlxs
