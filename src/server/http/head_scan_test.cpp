#include "server/http/head_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace mlxs {
namespace {

TEST(HeadScan, FindsTheEnd) {
  const HeadScan scan = scan_head("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\n", 0);
  EXPECT_EQ(scan.state, HeadState::complete);
  EXPECT_EQ(scan.num_bytes, 27U);
}

TEST(HeadScan, IsEqualWhenBytesArriveOneByOne) {
  for (const std::string bytes :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET /\r\n x: y\r\n\r\n",
        "G\rET / HTTP/1.1\r\n\r\n",
        "\r\n\r\n"}) {
    const HeadScan whole = scan_head(bytes, 0);
    HeadScan piecewise;
    for (std::size_t i = 1; i <= bytes.size() && piecewise.state == HeadState::incomplete; ++i) {
      piecewise = scan_head(std::string_view(bytes).substr(0, i), i - 1);
    }
    EXPECT_EQ(piecewise.state, whole.state) << bytes;
    EXPECT_EQ(piecewise.problem, whole.problem) << bytes;
    EXPECT_EQ(piecewise.num_bytes, whole.num_bytes) << bytes;
  }
}

TEST(HeadScan, RefusesWhatParsersDisagreeOn) {
  for (const std::string bytes :
       {"GET / HTTP/1.1\n",
        "\n",
        "\r\n",
        "GET / HTTP/1.1\r\n folded",
        "GET / HTTP/1.1\r\n\tfolded",
        "GET\rX",
        " GET / HTTP/1.1\r\n",
        "A\r\nB: c\n\r\n"}) {
    EXPECT_EQ(scan_head(bytes, 0).state, HeadState::malformed) << bytes;
  }
  EXPECT_EQ(scan_head(std::string("GET /\0", 6), 0).state, HeadState::malformed);
  EXPECT_EQ(scan_head("GET / HTTP/1.1\r", 0).state, HeadState::incomplete);
  EXPECT_EQ(scan_head("", 0).state, HeadState::incomplete);
}

}  // namespace
}  // namespace mlxs
