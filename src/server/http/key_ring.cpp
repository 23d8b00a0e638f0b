// Every key is compared, whichever matches, so that the time tells nothing.
#include "server/http/key_ring.h"

#include <openssl/crypto.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/error.h"
#include "server/http/sha256.h"

namespace mlxs {
namespace {

constexpr std::chrono::milliseconds kCheckPeriod{500};
constexpr int kMaxOpenLimit = 1'000'000;
constexpr double kMaxWeight = 1000.0;

struct Line {
  const std::string& path;
  std::size_t number;
};

[[noreturn]] void fail(const Line& line, const std::string& problem) {
  throw Error(ErrorCode::invalid_config, fmt::format("{}:{}: {}", line.path, line.number, problem));
}

void read_option(const Line& line, const std::string& word, ApiKey& key) {
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (name == "max_open") {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), key.max_open);
    if (error != std::errc{} || end != value.data() + value.size() || key.max_open < 1 ||
        key.max_open > kMaxOpenLimit)
      fail(line, "max_open must be an integer from 1 to 1000000");
    return;
  }
  if (name == "weight") {
    std::istringstream in(value);
    if (!(in >> key.weight) || in.peek() != std::istringstream::traits_type::eof() ||
        !(key.weight > 0.0) || key.weight > kMaxWeight)
      fail(line, "weight must be a number above 0 and at most 1000");
    return;
  }
  fail(line, "\"" + name + "\" is unknown; after the digest there are max_open=N and weight=X");
}

ApiKey read_key(const Line& line, const std::string& text) {
  std::istringstream in(text);
  const std::vector<std::string> words{
      std::istream_iterator<std::string>(in), std::istream_iterator<std::string>()
  };
  if (words.size() < 2) fail(line, "a line is NAME SHA256 [max_open=N] [weight=X]");
  ApiKey key;
  key.name = words[0];
  const std::optional<Sha256> digest = parse_sha256(words[1]);
  if (!digest)
    fail(line, "the second word must be the SHA-256 of the key in 64 hexadecimal digits");
  key.digest = *digest;
  for (std::size_t i = 2; i < words.size(); ++i) read_option(line, words[i], key);
  return key;
}

std::vector<ApiKey> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in)
    throw Error(ErrorCode::io_error, fmt::format("the file of API keys {} cannot be read", path));
  return parse_api_keys(text, path);
}

}  // namespace

std::vector<ApiKey> parse_api_keys(std::string_view text, const std::string& path) {
  std::vector<ApiKey> keys;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    ApiKey key = read_key({path, number}, line);
    for (const ApiKey& other : keys) {
      if (other.name == key.name) fail({path, number}, "the name " + key.name + " is there twice");
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

KeyRing::KeyRing(const std::string& key, std::string path, std::shared_ptr<spdlog::logger> logger)
    : has_key_(!key.empty()), path_(std::move(path)), logger_(std::move(logger)) {
  if (has_key_) {
    own_key_.emplace();
    own_key_->name = "default";
    own_key_->digest = sha256(key);
  }
  if (path_.empty()) return;
  MutexLock lock(mutex_);
  std::error_code ec;
  changed_at_ = std::filesystem::last_write_time(path_, ec);
  keys_ = read_file(path_);
  checked_at_ = Clock::now();
}

void KeyRing::reload_when_changed() {
  const Clock::time_point now = Clock::now();
  if (path_.empty() || now - checked_at_ < kCheckPeriod) return;
  checked_at_ = now;
  std::error_code ec;
  const auto changed_at = std::filesystem::last_write_time(path_, ec);
  if (ec || changed_at == changed_at_) return;
  changed_at_ = changed_at;
  try {
    keys_ = read_file(path_);
    logger_->info("read {} API keys again", keys_.size());
  } catch (const Error& error) {
    logger_->error("the API keys stay as they were: {}", error.what());
  }
}

std::optional<ApiKey> KeyRing::find(std::string_view presented) {
  const Sha256 digest = sha256(presented);
  MutexLock lock(mutex_);
  reload_when_changed();
  std::optional<ApiKey> found;
  const auto compare = [&](const ApiKey& key) {
    if (CRYPTO_memcmp(key.digest.data(), digest.data(), digest.size()) == 0) found = key;
  };
  for (const ApiKey& key : keys_) compare(key);
  if (own_key_) compare(*own_key_);
  return found;
}

}  // namespace mlxs
