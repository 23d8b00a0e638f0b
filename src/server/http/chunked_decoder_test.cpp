#include "server/http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "server/http/message.h"

namespace mlxs {
namespace {

int status_of(const std::string& bytes, std::size_t max_body_bytes = 100) {
  ChunkedDecoder decoder(max_body_bytes);
  std::string body;
  try {
    decoder.decode(bytes, body);
  } catch (const HttpError& error) {
    return error.fault().status;
  }
  return decoder.is_done() ? 200 : 100;
}

TEST(ChunkedDecoder, JoinsChunksHoweverTheyArrive) {
  const std::string bytes =
      "5\r\nhello\r\n001;a=b\r\n \r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nNEXT";
  for (std::size_t piece_bytes = 1; piece_bytes <= bytes.size(); ++piece_bytes) {
    ChunkedDecoder decoder(100);
    std::string body;
    std::size_t num_used = 0;
    for (std::size_t at = 0; at < bytes.size() && !decoder.is_done(); at += piece_bytes) {
      num_used += decoder.decode(std::string_view(bytes).substr(at, piece_bytes), body);
    }
    EXPECT_TRUE(decoder.is_done());
    EXPECT_EQ(body, "hello 0123456789");
    EXPECT_EQ(num_used, bytes.size() - 4);
  }
}

TEST(ChunkedDecoder, RefusesMalformedChunks) {
  for (const char* bytes :
       {"x",
        "\r\n",
        ";a\r\n",
        " 5\r\n",
        "5 \r\n",
        "0x5\r\n",
        "5\n",
        "5\rx",
        "1\r\nab",
        "1\r\na\rb",
        "1;a\nb",
        "1000000000000000\r\n",
        "0\r\n :",
        "0\r\nA\nB",
        "0\r\n\rx"}) {
    EXPECT_EQ(status_of(bytes), 400) << bytes;
  }
}

TEST(ChunkedDecoder, LimitsWhatItKeepsAndDrops) {
  EXPECT_EQ(status_of("64\r\n"), 100);
  EXPECT_EQ(status_of("65\r\n"), 413);
  EXPECT_EQ(status_of("7fffffffffffffff\r\n"), 400);
  EXPECT_EQ(status_of("fffffffffffffff\r\n"), 413);
  EXPECT_EQ(status_of("2\r\nab\r\n63\r\n"), 413);
  EXPECT_EQ(status_of("1;" + std::string(257, 'a')), 400);
  EXPECT_EQ(status_of("0\r\n" + std::string(8193, 'a')), 400);
  EXPECT_EQ(status_of("0\r\n\r\n", 0), 200);
}

}  // namespace
}  // namespace mlxs
