// The argument blocks of the CUDA kernels, the same text for the host's compiler and for NVRTC:
// plain structs of pointers, integers and floats, no includes. "half" is bfloat16 or float16.
#pragma once

namespace mlxs::cuda {

// out [R, N] = x [R, K] weight^T, with what the kernel's name says after it.
struct LinearParams {
  const void* weight;      // [N, K] half, or [N, K * bits / 32] words
  const void* scales;      // quantized: [N, K / group_size] half
  const void* biases;      // as scales
  const void* bias;        // [N] half, or null
  const void* x;           // [R, K] half
  const void* residual;    // _residual: [R, N] half; may be `out`
  void* out;               // [R, N] half (_gated: [R, gate_offset]; _float: float)
  float* partials;         // wide, split: [tiles, num_splits, sums of a block]
  unsigned int* arrivals;  // wide, split: [tiles], zero before and after
  int num_rows;
  int num_outputs;
  int num_columns;
  int gate_offset;  // _gated: the row of the first up projection; gates come before it
  int activation;   // _gated: 0 silu, 1 gelu by tanh
  int num_splits;   // wide: of the columns over blocks
};

// x [R, K] half as a wide product reads it, with R up to a multiple of 8 and K of 128.
struct OrderParams {
  const void* x;
  void* out;
  int num_rows;
  int num_columns;
};

// dense [N, K] half from a quantized weight.
struct DequantizeParams {
  const void* weight;
  const void* scales;
  const void* biases;
  void* out;
  long long num_words;
};

// x' = x + post_norm(y); out = pre_norm(x'). What is null is left out.
struct NormParams {
  void* x;                  // [R, E] half, the residual stream, replaced where y is given
  const void* y;            // [R, E] half or null
  const void* post_weight;  // [E] half or null
  const void* pre_weight;   // [E] half or null: out is a copy of x'
  void* out;                // [R, E] half or null
  int num_columns;
  float eps;
};

struct EmbeddingParams {
  const int* tokens;   // [R]
  const void* weight;  // [V, E] half, or words
  const void* scales;
  const void* biases;
  void* out;  // [R, E] half
  int num_columns;
  int bits;  // 16: dense
  int group_size;
  float factor;
};

// cos and sin [R, num_frequencies] float32.
struct RopeTableParams {
  const int* positions;        // [R]
  const int* long_rows;        // [R] 1: takes inv_freq_long
  const float* inv_freq;       // [num_frequencies]
  const float* inv_freq_long;  // or null
  float* cos;
  float* sin;
  int num_frequencies;
  float factor;
};

// What both attention kernels and the store read of a layer and its batch.
struct AttentionParams {
  void* qkv;            // [R, (H + 2 Hkv) D] half
  void* keys;           // [P, S, Hkv, D] half or int8
  void* values;         // as keys
  float* key_scales;    // int8: [P, S, Hkv] float32
  float* value_scales;  // as key_scales
  const float* cos;     // [R, num_frequencies], or null
  const float* sin;
  const void* q_norm;      // [D] half or null
  const void* k_norm;      // as q_norm
  void* out;               // [R, H D] half
  const int* positions;    // [R]; decode: -1 where the row is padding
  const int* page_tables;  // [sequences, page_stride]
  const int* page_stride;  // on the device, as it changes between replays
  const int* items;        // decode: [items, 2] row, sequence; prefill: [tiles, 4] first row,
                           // number of rows, sequence, position of the first row
  float* partials;         // decode: [items, H, num_splits, D + 2]
  unsigned int* arrivals;  // decode: [items, Hkv * chunks of heads], zero before and after
  int num_heads;
  int num_kv_heads;
  int page_size;
  int num_frequencies;
  int num_splits;
  int window;
  float soft_cap;
  float scale;
  float norm_eps;
};

struct GateParams {
  const void* gate_up;  // [R, 2 F] half
  void* out;            // [R, F] half
  int num_columns;      // F
  int activation;
};

struct BiasParams {
  void* out;         // [R, N] half
  const void* bias;  // [N] half
  int num_columns;
};

}  // namespace mlxs::cuda
