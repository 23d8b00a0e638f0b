// Every committed schema against its instances: what satisfies it is accepted token by token, what
// does not is refused.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/json.h"
#include "text/grammar.h"
#include "text/testing/golden_files.h"
#include "text/testing/grammar_texts.h"

namespace mlxs {
namespace {

using testing::accepts;
using testing::default_vocabulary;
using testing::to_text;

class SchemaTest : public ::testing::TestWithParam<int> {
 protected:
  static const json::array& cases() {
    static const json::value kContent = testing::read_golden_json("schemas.json");
    return kContent.at("cases").as_array();
  }
};

// Many small tests would each prepare the vocabulary again.
constexpr int kNumGroups = 4;

TEST_P(SchemaTest, instances_are_told_apart) {
  const json::array& all = cases();
  EXPECT_GE(all.size(), 100U);
  for (std::size_t i = static_cast<std::size_t>(GetParam()); i < all.size(); i += kNumGroups) {
    const json::value& test_case = all[i];
    SCOPED_TRACE(to_text(test_case.at("name")));
    const Grammar grammar = Grammar::compile(
        default_vocabulary(),
        {.kind = GrammarKind::json_schema, .text = json::serialize(test_case.at("schema"))}
    );
    for (const json::value& text : test_case.at("sound").as_array())
      EXPECT_TRUE(accepts(grammar, to_text(text))) << to_text(text);
    for (const json::value& text : test_case.at("unsound").as_array())
      EXPECT_FALSE(accepts(grammar, to_text(text))) << to_text(text);
  }
}

INSTANTIATE_TEST_SUITE_P(Groups, SchemaTest, ::testing::Range(0, kNumGroups));

}  // namespace
}  // namespace mlxs
