// GGUF's tensor names as Hugging Face's, per architecture. Names only: no tensor is looked at.
#pragma once

#include <string>
#include <string_view>

namespace mlxs {

// RETURNS: "model.layers.3.self_attn.q_proj.weight" for "blk.3.attn_q.weight". A name that has no
// counterpart, or an architecture that is not llama, qwen2, qwen3, gemma3 or phi3, comes back
// unchanged.
[[nodiscard]] std::string hugging_face_name(
    std::string_view architecture, std::string_view gguf_name
);

// RETURNS: whether llama.cpp's converter made a configuration for this architecture that
// gguf_config can turn back.
[[nodiscard]] bool is_known_gguf_architecture(std::string_view architecture);

}  // namespace mlxs
