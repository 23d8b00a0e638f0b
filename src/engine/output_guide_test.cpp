// Guides alone, and constrained requests on a whole engine without a model.
#include "engine/output_guide.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/mask_job.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "text/grammar.h"
#include "text/reasoning_parser/reasoning_format.h"

namespace mlxs {
namespace {

using testing::Answer;
using testing::ask;
using testing::is_idle;
using testing::read_all;
using testing::text_request;

constexpr std::int32_t kEnd = 256;

struct Fixture {
  Fixture() { model.grammars = std::make_unique<Grammars>(model.tokenizer, model.eos_ids); }

  [[nodiscard]] std::shared_ptr<const Grammar> regex(std::string_view text) const {
    return model.grammars->cache.get({.kind = GrammarKind::regex, .text = std::string(text)});
  }

  TextModel model{.tokenizer = make_byte_tokenizer(), .eos_ids = {kEnd}};
};

bool allows(OutputGuide& guide, std::int32_t id) {
  if (!guide.mask()) return true;
  const auto words = guide.mask()->words();
  const auto index = static_cast<std::size_t>(id);
  return (words[index / 32] >> index % 32 & 1U) != 0;
}

void accept_text(OutputGuide& guide, std::string_view text) {
  for (const char c : text) {
    ASSERT_TRUE(allows(guide, c)) << text << " at " << c;
    static_cast<void>(guide.accept(c));
  }
}

ReasoningOptions think(ReasoningStart start) {
  return {.format = find_reasoning_format("think"), .start = start};
}

TEST(OutputGuide, ends_with_its_grammar) {
  const Fixture fixture;
  OutputGuide guide(fixture.model, {.grammar = fixture.regex("ab|ac")});
  EXPECT_TRUE(allows(guide, 'a'));
  EXPECT_FALSE(allows(guide, 'b'));
  EXPECT_FALSE(allows(guide, kEnd));
  EXPECT_EQ(guide.accept('a'), OutputGuide::Step::goes_on);
  EXPECT_TRUE(allows(guide, 'b') && allows(guide, 'c'));
  EXPECT_FALSE(allows(guide, 'a'));
  EXPECT_EQ(guide.accept('c'), OutputGuide::Step::complete);
}

TEST(OutputGuide, does_not_rely_on_its_mask) {
  const Fixture fixture;
  OutputGuide guide(fixture.model, {.grammar = fixture.regex("ab")});
  EXPECT_THROW(static_cast<void>(guide.accept('b')), Error);
  EXPECT_THROW(guide.accept_end(), Error);
}

TEST(OutputGuide, begins_after_the_reasoning) {
  const Fixture fixture;
  OutputGuide guide(
      fixture.model, {.grammar = fixture.regex("ab+"), .reasoning = think(ReasoningStart::inside)}
  );
  EXPECT_TRUE(allows(guide, 'x'));
  EXPECT_FALSE(allows(guide, kEnd)) << "an answer is owed";
  EXPECT_THROW(guide.accept_end(), Error);
  accept_text(guide, "so </think>");
  EXPECT_TRUE(allows(guide, 'a'));
  EXPECT_FALSE(allows(guide, 'x'));
  accept_text(guide, "ab");
  EXPECT_TRUE(allows(guide, kEnd) && allows(guide, 'b'));
  EXPECT_NO_THROW(guide.accept_end());
}

TEST(OutputGuide, holds_from_the_start_where_reasoning_cannot_be_told_from_it) {
  const Fixture fixture;  // has no token for the mark
  OutputGuide guide(
      fixture.model, {.grammar = fixture.regex("ab"), .reasoning = think(ReasoningStart::by_mark)}
  );
  EXPECT_TRUE(allows(guide, 'a'));
  EXPECT_FALSE(allows(guide, '<'));
}

TEST(OutputGuide, cuts_reasoning_at_its_limit_and_is_done) {
  const Fixture fixture;
  OutputGuide guide(
      fixture.model, {.reasoning = think(ReasoningStart::inside), .max_reasoning_tokens = 3}
  );
  accept_text(guide, "abc");
  std::string forced;
  while (!guide.is_done()) {
    ASSERT_TRUE(guide.mask());
    std::vector<char> allowed;
    for (int id = 0; id < 128; ++id) {
      if (allows(guide, id)) allowed.push_back(static_cast<char>(id));
    }
    ASSERT_EQ(allowed.size(), 1U);
    forced += allowed.front();
    static_cast<void>(guide.accept(allowed.front()));
  }
  EXPECT_EQ(forced, "\n</think>\n\n");
}

TEST(OutputGuide, a_limit_of_0_cuts_at_once_and_the_grammar_follows) {
  const Fixture fixture;
  OutputGuide guide(
      fixture.model,
      {.grammar = fixture.regex("ab"),
       .reasoning = think(ReasoningStart::inside),
       .max_reasoning_tokens = 0}
  );
  accept_text(guide, "\n</think>");
  EXPECT_TRUE(allows(guide, 'a'));
  EXPECT_FALSE(allows(guide, '\n'));
}

Request constrained(Constraint constraint, int max_tokens = 100) {
  Request request = text_request("hello", max_tokens);
  request.constraint = std::move(constraint);
  return request;
}

constexpr std::string_view kSchema =
    R"({"type":"object","properties":{"a":{"enum":["x","yy"]},"b":{"type":"boolean"}},)"
    R"("required":["a","b"],"additionalProperties":false})";

void expect_fits(const Answer& answer) {
  ASSERT_FALSE(answer.finish.error) << answer.finish.error->what();
  EXPECT_EQ(answer.finish.reason, FinishReason::stop);
  const json::value value = parse_json(answer.text);
  EXPECT_TRUE(value.at("b").is_bool()) << answer.text;
  EXPECT_TRUE(value.at("a") == "x" || value.at("a") == "yy") << answer.text;
}

TEST(ConstrainedRequest, ends_with_what_its_schema_wants_beside_free_ones) {
  for (const int in_flight : {1, 2, 4}) {
    const auto engine = make_fake_engine({.ring = {.capacity = in_flight}});
    Generation free = engine->submit(text_request("free", 40));
    std::vector<Generation> many = engine->submit(
        constrained({.kind = ConstraintKind::json_schema, .text = std::string(kSchema)}), 3
    );
    Generation other =
        engine->submit(constrained({.kind = ConstraintKind::regex, .text = "[xyz]{5}"}));
    for (Generation& generation : many) expect_fits(read_all(generation));
    const Answer letters = read_all(other);
    EXPECT_EQ(letters.text.size(), 5U);
    EXPECT_EQ(letters.text.find_first_not_of("xyz"), std::string::npos);
    EXPECT_EQ(read_all(free).text, testing::expected_text("free", 40));
    EXPECT_TRUE(is_idle(*engine));
  }
}

TEST(ConstrainedRequest, survives_preemption_by_recompute) {
  FakeEngineOptions options{.max_sequences = 8, .runner{.num_pages = 24}};
  const auto engine = make_fake_engine(options);
  std::vector<Generation> generations;
  for (int i = 0; i < 8; ++i) {
    Request request = constrained({.kind = ConstraintKind::regex, .text = "([ab]c){30}"}, 70);
    request.prompt = std::string("prompt ") + std::to_string(i);
    generations.push_back(engine->submit(std::move(request)));
  }
  for (Generation& generation : generations) {
    const Answer answer = read_all(generation);
    ASSERT_FALSE(answer.finish.error) << answer.finish.error->what();
    EXPECT_EQ(answer.text.size(), 60U);
    for (std::size_t i = 1; i < answer.text.size(); i += 2) EXPECT_EQ(answer.text[i], 'c');
  }
  EXPECT_GT(engine->stats().num_preemptions, 0U);
}

TEST(ConstrainedRequest, is_refused_with_the_name_of_what_cannot_be_kept) {
  const auto engine = make_fake_engine();
  const Answer answer =
      ask(*engine,
          constrained(
              {.kind = ConstraintKind::json_schema,
               .text = R"({"type":"object","unevaluatedProperties":false})"}
          ));
  ASSERT_TRUE(answer.finish.error);
  EXPECT_EQ(answer.finish.error->code(), ErrorCode::unsupported);
  EXPECT_NE(
      std::string_view(answer.finish.error->what()).find("unevaluatedProperties"),
      std::string_view::npos
  ) << answer.finish.error->what();
  EXPECT_EQ(answer.finish.error->param(), "constraint");
}

// A device that does not heed the mask.
TEST(ConstrainedRequest, never_shows_a_token_that_does_not_fit) {
  FakeEngineOptions options;
  options.runner.after_step = [](const Batch& batch, StepResult& result) {
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      if (batch.samples[i].mask && batch.samples[i].output_ids.size() == 2)
        result.tokens[i].id = 'q';
    }
  };
  const auto engine = make_fake_engine(options);
  const Answer answer = ask(*engine, constrained({.kind = ConstraintKind::regex, .text = "a{9}"}));
  ASSERT_TRUE(answer.finish.error);
  EXPECT_EQ(answer.finish.error->code(), ErrorCode::engine_error);
  EXPECT_EQ(answer.text, "aa");
  EXPECT_TRUE(is_idle(*engine));
}

TEST(ConstrainedRequest, ends_by_its_own_means_even_where_ends_are_ignored) {
  const auto engine = make_fake_engine();
  Request request = constrained({.kind = ConstraintKind::regex, .text = "a+"}, 90);
  request.stop.ignore_eos = true;
  const Answer answer = ask(*engine, std::move(request));
  ASSERT_FALSE(answer.finish.error);
  EXPECT_EQ(answer.finish.reason, FinishReason::stop);
}

TEST(ConstrainedRequest, is_cut_by_stop_strings_as_any_other) {
  const auto engine = make_fake_engine();
  Request request = constrained({.kind = ConstraintKind::regex, .text = "abcdef"});
  request.stop.stop = {"de"};
  const Answer answer = ask(*engine, std::move(request));
  EXPECT_EQ(answer.text, "abc");
  EXPECT_EQ(answer.finish.stop_string, "de");
}

TEST(MaskJob, keeps_what_went_wrong_and_allows_nothing) {
  MaskJob job(2, [](std::span<std::uint32_t> words) {
    words[0] = 7;
    throw Error(ErrorCode::invalid_value, "too complex");
  });
  EXPECT_EQ(job.words()[0], 0U);
  ASSERT_TRUE(job.error());
  EXPECT_STREQ(job.error()->what(), "too complex");
}

}  // namespace
}  // namespace mlxs
