// One primitive over all arrays of a group on the CPU; slices and updates elsewhere.
#include "kernels/page_copy/page_copy.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mlxs {
namespace {

// Of the group's layers, in the order that a page's bytes have.
std::vector<mx::array*> group_arrays(KvPages& pages, int group) {
  std::vector<mx::array*> arrays;
  for (KvLayer& layer : pages.layers) {
    if (layer.group != group) continue;
    arrays.push_back(&layer.keys);
    arrays.push_back(&layer.values);
    if (layer.key_scales) arrays.push_back(&*layer.key_scales);
    if (layer.value_scales) arrays.push_back(&*layer.value_scales);
  }
  return arrays;
}

std::vector<mx::array> group_copies(const KvPages& pages, int group) {
  KvPages copies = pages;  // handles; no bytes are copied
  std::vector<mx::array> result;
  for (const mx::array* array : group_arrays(copies, group)) result.push_back(*array);
  return result;
}

std::size_t bytes_of_page(const mx::array& pool) {
  std::size_t num_bytes = pool.itemsize();
  for (int axis = 1; axis < static_cast<int>(pool.ndim()); ++axis)
    num_bytes *= static_cast<std::size_t>(pool.shape(axis));
  return num_bytes;
}

void check_page(const KvPages& pages, int group, std::int32_t page) {
  if (group < 0 || static_cast<std::size_t>(group) >= pages.shape.groups.size())
    throw std::out_of_range("[page_copy] group " + std::to_string(group));
  const int num_pages = pages.shape.groups[static_cast<std::size_t>(group)].num_pages;
  if (page < 0 || page >= num_pages) {
    throw std::out_of_range(
        "[page_copy] page " + std::to_string(page) + " of " + std::to_string(num_pages)
    );
  }
}

bool runs_on_cpu() { return mx::to_stream({}).device == mx::Device::cpu; }

// Where a page of one array is, and how long it is.
struct PageSpan {
  std::byte* begin = nullptr;
  std::size_t num_bytes = 0;
};

std::vector<PageSpan> spans_of(const std::vector<mx::array>& arrays) {
  std::vector<PageSpan> spans;
  for (const mx::array& array : arrays) {
    if (!array.flags().row_contiguous)
      throw std::invalid_argument("[page_copy] the pool must be row-major");
    mx::array handle = array;
    spans.push_back({.begin = handle.data<std::byte>(), .num_bytes = bytes_of_page(array)});
  }
  return spans;
}

// The outputs of these primitives share the buffers of their inputs; MLX keeps the inputs until the
// task is done, but not the outputs.
void keep_and_run(
    mx::Stream stream, const std::vector<mx::array>& outputs, std::function<void()> task
) {
  std::vector<std::shared_ptr<mx::array::Data>> buffers;
  for (const mx::array& output : outputs) buffers.push_back(output.data_shared_ptr());
  mx::cpu::get_command_encoder(stream).dispatch([task = std::move(task),
                                                 buffers = std::move(buffers)] { task(); });
}

class PagePrimitive : public mx::Primitive {
 public:
  using Primitive::Primitive;

  void eval_gpu(
      const std::vector<mx::array>& /*inputs*/, std::vector<mx::array>& /*outputs*/
  ) override {
    throw std::logic_error("[page_copy] has no GPU kernel; plain operations run there");
  }
};

class CopyPages final : public PagePrimitive {
 public:
  CopyPages(mx::Stream stream, std::vector<PagePair> pairs)
      : PagePrimitive(stream), pairs_(std::move(pairs)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].copy_shared_buffer(inputs[i]);
    keep_and_run(stream(), outputs, [spans = spans_of(inputs), pairs = pairs_] {
      for (const PageSpan& span : spans) {
        for (const PagePair& pair : pairs) {
          std::memcpy(
              span.begin + static_cast<std::size_t>(pair.to) * span.num_bytes,
              span.begin + static_cast<std::size_t>(pair.from) * span.num_bytes,
              span.num_bytes
          );
        }
      }
    });
  }

  const char* name() const override { return "CopyPages"; }

 private:
  std::vector<PagePair> pairs_;
};

class ReadPage final : public PagePrimitive {
 public:
  ReadPage(mx::Stream stream, std::int32_t page) : PagePrimitive(stream), page_(page) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    outputs[0].set_data(mx::allocator::malloc(outputs[0].nbytes()));
    auto* to = outputs[0].data<std::byte>();
    const auto page = static_cast<std::size_t>(page_);
    keep_and_run(stream(), outputs, [spans = spans_of(inputs), page, to]() mutable {
      for (const PageSpan& span : spans) {
        std::memcpy(to, span.begin + page * span.num_bytes, span.num_bytes);
        to += span.num_bytes;
      }
    });
  }

  const char* name() const override { return "ReadPage"; }

 private:
  std::int32_t page_;
};

// The last input is the content.
class WritePage final : public PagePrimitive {
 public:
  WritePage(mx::Stream stream, std::int32_t page) : PagePrimitive(stream), page_(page) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    std::vector<mx::array> pool(inputs.begin(), inputs.end() - 1);
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].copy_shared_buffer(pool[i]);
    if (!inputs.back().flags().row_contiguous)
      throw std::invalid_argument("[page_copy] the content must be row-major");
    const auto* from = inputs.back().data<std::byte>();
    const auto page = static_cast<std::size_t>(page_);
    keep_and_run(stream(), outputs, [spans = spans_of(pool), page, from]() mutable {
      for (const PageSpan& span : spans) {
        std::memcpy(span.begin + page * span.num_bytes, from, span.num_bytes);
        from += span.num_bytes;
      }
    });
  }

  const char* name() const override { return "WritePage"; }

 private:
  std::int32_t page_;
};

// The group's arrays become the outputs of `primitive`, which has them and `extra` as inputs.
void replace_arrays(
    const std::vector<mx::array*>& arrays,
    const std::shared_ptr<mx::Primitive>& primitive,
    const std::vector<mx::array>& extra
) {
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> dtypes;
  std::vector<mx::array> inputs;
  for (const mx::array* array : arrays) {
    shapes.push_back(array->shape());
    dtypes.push_back(array->dtype());
    inputs.push_back(*array);
  }
  inputs.insert(inputs.end(), extra.begin(), extra.end());
  std::vector<mx::array> outputs =
      mx::array::make_arrays(std::move(shapes), dtypes, primitive, inputs);
  for (std::size_t i = 0; i < arrays.size(); ++i) *arrays[i] = std::move(outputs[i]);
}

mx::array page_slice(const mx::array& pool, std::int32_t page) {
  mx::Shape start(pool.ndim(), 0);
  mx::Shape stop = pool.shape();
  start[0] = page;
  stop[0] = page + 1;
  return mx::slice(pool, start, stop);
}

mx::array with_page(const mx::array& pool, std::int32_t page, const mx::array& content) {
  mx::Shape start(pool.ndim(), 0);
  mx::Shape stop = pool.shape();
  start[0] = page;
  stop[0] = page + 1;
  return mx::slice_update(pool, content, start, stop);
}

void copy_plainly(const std::vector<mx::array*>& arrays, std::span<const PagePair> pairs) {
  for (mx::array* array : arrays) {
    const mx::array old = *array;
    for (const PagePair& pair : pairs)
      *array = with_page(*array, pair.to, page_slice(old, pair.from));
  }
}

mx::array read_plainly(const std::vector<mx::array>& arrays, std::int32_t page) {
  std::vector<mx::array> parts;
  for (const mx::array& array : arrays) {
    const mx::array row = mx::flatten(mx::contiguous(page_slice(array, page)));
    parts.push_back(mx::view(row, mx::uint8));
  }
  return mx::concatenate(parts);
}

void write_plainly(
    const std::vector<mx::array*>& arrays, std::int32_t page, const mx::array& content
) {
  int begin = 0;
  for (mx::array* array : arrays) {
    const int end = begin + static_cast<int>(bytes_of_page(*array));
    mx::Shape shape = array->shape();
    shape[0] = 1;
    const mx::array bytes = mx::contiguous(mx::slice(content, {begin}, {end}));
    *array = with_page(*array, page, mx::reshape(mx::view(bytes, array->dtype()), shape));
    begin = end;
  }
}

}  // namespace

std::int64_t page_bytes(const KvPages& pages, int group) {
  std::int64_t total = 0;
  for (const mx::array& array : group_copies(pages, group))
    total += static_cast<std::int64_t>(bytes_of_page(array));
  return total;
}

void copy_pages(KvPages& pages, int group, std::span<const PagePair> pairs) {
  if (pairs.empty()) return;
  for (const PagePair& pair : pairs) {
    check_page(pages, group, pair.from);
    check_page(pages, group, pair.to);
  }
  const std::vector<mx::array*> arrays = group_arrays(pages, group);
  if (!runs_on_cpu()) {
    copy_plainly(arrays, pairs);
    return;
  }
  std::vector<PagePair> kept(pairs.begin(), pairs.end());
  replace_arrays(arrays, std::make_shared<CopyPages>(mx::to_stream({}), std::move(kept)), {});
}

mx::array read_page(const KvPages& pages, int group, std::int32_t page) {
  check_page(pages, group, page);
  std::vector<mx::array> arrays = group_copies(pages, group);
  if (!runs_on_cpu()) return read_plainly(arrays, page);
  return {
      mx::Shape{static_cast<int>(page_bytes(pages, group))},
      mx::uint8,
      std::make_shared<ReadPage>(mx::to_stream({}), page),
      std::move(arrays)
  };
}

void write_page(KvPages& pages, int group, std::int32_t page, const mx::array& content) {
  check_page(pages, group, page);
  const bool fits = content.ndim() == 1 && content.dtype() == mx::uint8 &&
                    static_cast<std::int64_t>(content.size()) == page_bytes(pages, group);
  if (!fits) throw std::invalid_argument("[page_copy] the content is not a page of this pool");
  const std::vector<mx::array*> arrays = group_arrays(pages, group);
  if (!runs_on_cpu()) {
    write_plainly(arrays, page, content);
    return;
  }
  replace_arrays(
      arrays, std::make_shared<WritePage>(mx::to_stream({}), page), {mx::contiguous(content)}
  );
}

}  // namespace mlxs
