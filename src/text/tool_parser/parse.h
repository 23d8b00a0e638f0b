// Coroutines that read a text character by character and stop in the midst of it when it goes no
// further: a parser that is written like one of a whole text works on a stream, and cannot tell how
// the stream was cut.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

namespace mlxs {

namespace parse_detail {

struct ResumeCaller {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self
  ) const noexcept {
    const std::coroutine_handle<> caller = self.promise().caller;
    return caller ? caller : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> caller = {};

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] ResumeCaller final_suspend() const noexcept { return {}; }
  // Only memory can run out here; whoever pushed the character hears of it.
  void unhandled_exception() const { throw; }
};

template <typename T>
struct Promise : PromiseBase {
  T value = {};
  void return_value(T result) { value = std::move(result); }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() const noexcept {}
};

}  // namespace parse_detail

// A parser that yields a T. It starts when it is awaited or resumed, and owns its coroutine.
template <typename T>
class [[nodiscard]] Parse {
 public:
  // NOLINTNEXTLINE(readability-identifier-naming): the language looks for this name
  struct promise_type : parse_detail::Promise<T> {
    Parse get_return_object() {
      return Parse(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  Parse() = default;
  Parse(Parse&& other) noexcept : self_(std::exchange(other.self_, {})) {}
  Parse& operator=(Parse&& other) noexcept {
    std::swap(self_, other.self_);
    return *this;
  }
  ~Parse() {
    if (self_) self_.destroy();
  }

  [[nodiscard]] std::coroutine_handle<> handle() const { return self_; }
  [[nodiscard]] bool is_done() const { return self_.done(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
    self_.promise().caller = caller;
    return self_;
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(self_.promise().value);
  }

 private:
  explicit Parse(std::coroutine_handle<promise_type> self) : self_(self) {}

  std::coroutine_handle<promise_type> self_;
};

// The characters that a parser reads, one at a time.
class CharStream {
 public:
  class Peek {
   public:
    explicit Peek(CharStream& stream) : stream_(stream) {}
    [[nodiscard]] bool await_ready() const noexcept {
      return stream_.current_.has_value() || stream_.is_closed_;
    }
    void await_suspend(std::coroutine_handle<> reader) noexcept { stream_.reader_ = reader; }
    [[nodiscard]] std::optional<char> await_resume() const noexcept { return stream_.current_; }

   private:
    CharStream& stream_;
  };

  // RETURNS: once it is known, the next character, or nothing at the end. It stays the next until
  // take().
  [[nodiscard]] Peek peek() { return Peek(*this); }
  void take() { current_.reset(); }

  // The parser's first step. REQUIRES: it reads this stream.
  void start(std::coroutine_handle<> parser) { parser.resume(); }

  // The parser reads on until it needs another character.
  void push(char character) {
    current_ = character;
    resume();
  }
  void close() {
    is_closed_ = true;
    resume();
  }

 private:
  void resume() {
    if (const auto reader = std::exchange(reader_, {})) reader.resume();
  }

  std::optional<char> current_;
  bool is_closed_ = false;
  std::coroutine_handle<> reader_;
};

}  // namespace mlxs
