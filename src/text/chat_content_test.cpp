// Joining text parts, and naming what cannot be joined.
#include "text/chat_content.h"

#include <gtest/gtest.h>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

TEST(ChatContentTest, joins_text_parts_and_leaves_the_rest) {
  EXPECT_EQ(
      flatten_text_parts(
          R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"x","content":null}])"
      ),
      R"([{"role":"user","content":"a\nb"},{"role":"x","content":null}])"
  );
  const std::string untouched = R"([ {"content": "a",  "n": 1.50} ])";
  EXPECT_EQ(flatten_text_parts(untouched), untouched);
}

TEST(ChatContentTest, names_the_part_that_is_no_text) {
  try {
    (void)flatten_text_parts(
        R"([{"content":"a"},{"content":[{"type":"text","text":"a"},{"type":"image_url"}]}])"
    );
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_EQ(error.param(), "messages[1].content[1]");
  }
}

TEST(ChatContentTest, refuses_what_is_no_list_of_messages) {
  for (const char* text : {"", "{}", "[1]", "[", "null"}) {
    EXPECT_THROW((void)flatten_text_parts(text), Error) << text;
  }
}

}  // namespace
}  // namespace mlxs
