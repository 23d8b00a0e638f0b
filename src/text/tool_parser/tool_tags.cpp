// The properties of a Python call come in the schema's order, the required ones first; those that
// may be missing make the commas depend on what came before.
#include "text/tool_parser/tool_tags.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {
namespace {

struct Property {
  std::string name;
  std::string schema_json;
  bool is_required;
};

std::string_view schema_of(const ToolFunction& function) {
  return function.parameters_json.empty() ? std::string_view(R"({"type":"object"})")
                                          : std::string_view(function.parameters_json);
}

std::string constant(std::string_view text) {
  return R"({"type":"const_string","value":)" + json_quote(text) + '}';
}

std::string list_of(std::string_view type, const std::vector<std::string>& elements) {
  std::string json = R"({"type":")" + std::string(type) + R"(","elements":[)";
  for (std::size_t i = 0; i < elements.size(); ++i) json += (i == 0 ? "" : ",") + elements[i];
  return json + "]}";
}

bool is_required(const json::object& schema, std::string_view name) {
  const json::value* required = schema.if_contains("required");
  if (required == nullptr || !required->is_array()) return false;
  return std::ranges::any_of(required->get_array(), [&](const json::value& item) {
    return item.is_string() && item.get_string() == name;
  });
}

// A property's schema with the definitions that its references need.
std::string with_definitions(const json::value& property, const json::object& schema) {
  if (!property.is_object()) return json::serialize(property);
  json::object whole = property.get_object();
  for (const std::string_view name : {"$defs", "definitions"})
    if (const json::value* definitions = schema.if_contains(name)) whole[name] = *definitions;
  return json::serialize(whole);
}

// RETURNS: the properties, those that are required first.
std::vector<Property> read_properties(const ToolFunction& function) {
  const json::value parsed = parse_json(schema_of(function));
  const json::object* schema = parsed.if_object();
  if (schema == nullptr)
    throw Error(ErrorCode::invalid_value, "a tool's parameters must be a JSON schema object");
  std::vector<Property> needed;
  std::vector<Property> others;
  const json::value* members = schema->if_contains("properties");
  if (members == nullptr || !members->is_object()) return needed;
  for (const auto& [name, property] : members->get_object()) {
    const bool is_needed = is_required(*schema, name);
    (is_needed ? needed : others)
        .push_back(
            {.name = std::string(std::string_view(name)),
             .schema_json = with_definitions(property, *schema),
             .is_required = is_needed}
        );
  }
  needed.insert(needed.end(), others.begin(), others.end());
  return needed;
}

std::string argument(const Property& property, std::string_view separator) {
  const std::string value = R"({"type":"json_schema","json_schema":)" + property.schema_json + '}';
  return list_of("sequence", {constant(std::string(separator) + property.name + '='), value});
}

// The arguments after one that has been written.
std::vector<std::string> further_arguments(
    const std::vector<Property>& properties, std::size_t from
) {
  std::vector<std::string> elements;
  for (std::size_t i = from; i < properties.size(); ++i) {
    const std::string element = argument(properties[i], ", ");
    elements.push_back(
        properties[i].is_required ? element : list_of("or", {constant(""), element})
    );
  }
  return elements;
}

std::string all_arguments(const std::vector<Property>& properties) {
  std::vector<std::string> options;
  for (std::size_t i = 0; i < properties.size(); ++i) {
    std::vector<std::string> elements = {argument(properties[i], "")};
    const std::vector<std::string> further = further_arguments(properties, i + 1);
    elements.insert(elements.end(), further.begin(), further.end());
    options.push_back(list_of("sequence", elements));
    if (properties[i].is_required) return list_of("or", options);
  }
  options.push_back(constant(""));
  return list_of("or", options);
}

std::string tag(const TagFrame& frame, const std::string& content) {
  return R"({"type":"tag","begin":)" + json_quote(frame.begin) + R"(,"content":)" + content +
         R"(,"end":)" + json_quote(frame.end) + '}';
}

}  // namespace

std::string json_call_tag(const ToolFunction& function, const TagFrame& frame) {
  return tag(
      frame, R"({"type":"json_schema","json_schema":)" + std::string(schema_of(function)) + '}'
  );
}

std::string python_call_tag(const ToolFunction& function) {
  const TagFrame frame{.begin = function.name + '(', .end = ")"};
  return tag(frame, all_arguments(read_properties(function)));
}

}  // namespace mlxs
