//! The pre-tokenizers that GGUF files name in `tokenizer.ggml.pre`, each as its family's tokenizer.json has it.
//! A name that is not in the table is refused: a wrong split gives a model text it has never seen.

use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::border::{Failure, Outcome};

/// GPT-4's pattern with up to three digits together.
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with each digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What files say that were made without knowing their model's own pattern: four splits, one after the other.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

#[derive(Clone, Copy)]
enum Splits {
    /// GPT-2's own pattern, built into the byte-level step.
    Gpt2,
    /// GPT-2's after each digit was set apart.
    Gpt2Digits,
    Patterns(&'static [&'static str]),
}

pub struct Pre {
    name: &'static str,
    splits: Splits,
    /// A word that is a token as it stands is not taken apart and merged again.
    pub ignores_merges: bool,
    normalizes_nfc: bool,
}

const fn pre(name: &'static str, splits: Splits) -> Pre {
    Pre { name, splits, ignores_merges: false, normalizes_nfc: false }
}

const TABLE: [Pre; 16] = [
    pre("default", Splits::Patterns(&DEFAULT)),
    pre("gpt-2", Splits::Gpt2),
    pre("phi-2", Splits::Gpt2),
    pre("smollm", Splits::Gpt2Digits),
    pre("starcoder", Splits::Gpt2Digits),
    pre("refact", Splits::Gpt2Digits),
    Pre { ignores_merges: true, ..pre("llama-bpe", Splits::Patterns(&[CL100K])) },
    Pre { ignores_merges: true, ..pre("llama3", Splits::Patterns(&[CL100K])) },
    Pre { ignores_merges: true, ..pre("llama-v3", Splits::Patterns(&[CL100K])) },
    pre("dbrx", Splits::Patterns(&[CL100K])),
    pre("smaug-bpe", Splits::Patterns(&[CL100K])),
    Pre { normalizes_nfc: true, ..pre("qwen2", Splits::Patterns(&[QWEN2])) },
    Pre { normalizes_nfc: true, ..pre("deepseek-r1-qwen", Splits::Patterns(&[QWEN2])) },
    pre("stablelm2", Splits::Patterns(&[QWEN2])),
    Pre { ignores_merges: true, ..pre("tekken", Splits::Patterns(&[TEKKEN])) },
    pre("gpt-4o", Splits::Patterns(&[O200K])),
];

/// ERRORS: Unsupported, with the known names, for one that is not in the table or empty.
pub fn find(name: &str) -> Outcome<&'static Pre> {
    TABLE.iter().find(|pre| pre.name == name).ok_or_else(|| {
        let known: Vec<&str> = TABLE.iter().map(|pre| pre.name).collect();
        let problem = if name.is_empty() {
            "the file has no tokenizer.ggml.pre; convert it anew".to_string()
        } else {
            format!("tokenizer.ggml.pre '{}' is not known", name.escape_debug())
        };
        Failure::unsupported(format!("{problem}; known are: {}", known.join(", ")))
    })
}

impl Pre {
    pub fn normalizer(&self) -> Option<NormalizerWrapper> {
        self.normalizes_nfc.then(|| NormalizerWrapper::NFC(NFC))
    }

    pub fn pre_tokenizer(&self, adds_prefix_space: bool) -> Outcome<PreTokenizerWrapper> {
        let byte_level = |splits| PreTokenizerWrapper::ByteLevel(ByteLevel::new(adds_prefix_space, true, splits));
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        match self.splits {
            Splits::Gpt2 => {}
            Splits::Gpt2Digits => steps.push(PreTokenizerWrapper::Digits(Digits::new(true))),
            Splits::Patterns(patterns) => {
                for pattern in patterns {
                    let pattern = SplitPattern::Regex(pattern.to_string());
                    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                        .map_err(|error| Failure::model(format!("pre-tokenizer '{}': {error}", self.name)))?;
                    steps.push(PreTokenizerWrapper::Split(split));
                }
            }
        }
        steps.push(byte_level(!matches!(self.splits, Splits::Patterns(_))));
        Ok(PreTokenizerWrapper::Sequence(Sequence::new(steps)))
    }
}
