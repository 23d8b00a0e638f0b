// The module mlx_serving._native: the doors as Python objects. It converts and releases the GIL;
// what a request means is the doors' business, what is pleasant to use is the package's.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings/common/backend.h"
#include "bindings/common/engine_door.h"
#include "bindings/common/event_hub.h"
#include "bindings/common/server_door.h"
#include "mlx_serving/error.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace mlxs {
namespace {

// Between two looks for Ctrl-C.
constexpr std::chrono::milliseconds kSignalPeriod{50};

// The class for an error's code is the package's to choose.
void raise_error(const Error& error) {
  const nb::object param =
      error.param().empty() ? nb::none() : nb::object(nb::str(error.param().c_str()));
  nb::object retry_after = nb::none();
  if (const auto wait = error.retry_after()) retry_after = nb::int_(wait->count());
  const std::string_view code = error_name(error.code());
  const nb::object exception =
      nb::module_::import_("mlx_serving.errors")
          .attr("error_of")(
              nb::str(code.data(), code.size()), nb::str(error.what()), param, retry_after
          );
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
}

void translate_error(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    raise_error(error);
  }
}

nb::list to_list(const std::vector<std::int32_t>& token_ids) {
  nb::list list;
  for (const std::int32_t id : token_ids) list.append(nb::int_(id));
  return list;
}

// RETURNS: (stream id, prompt tokens or None, text, token ids, finish as JSON or None).
nb::tuple to_tuple(const DoorEvent& event) {
  return nb::make_tuple(
      event.stream_id,
      event.prompt_tokens ? nb::object(nb::int_(*event.prompt_tokens)) : nb::none(),
      nb::str(event.text.data(), event.text.size()),
      to_list(event.token_ids),
      event.finish_json.empty()
          ? nb::none()
          : nb::object(nb::str(event.finish_json.data(), event.finish_json.size()))
  );
}

nb::list to_list(const std::vector<DoorEvent>& events) {
  nb::list list;
  for (const DoorEvent& event : events) list.append(to_tuple(event));
  return list;
}

// An engine thread must never wait for the GIL, so what it does is write a byte: the event loop
// watches the other end. A full pipe wakes its reader, too.
std::function<void()> waker(std::optional<int> wake_fd) {
  if (!wake_fd) return {};
  return [fd = *wake_fd] {
    const char byte = 1;
    [[maybe_unused]] const ssize_t num_written = write(fd, &byte, 1);
  };
}

// RETURNS: events; none after `timeout_s`. ERRORS: what a signal handler of Python's raises.
nb::list wait_for_events(EventHub& hub, std::optional<double> timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  while (true) {
    std::vector<DoorEvent> events;
    {
      const nb::gil_scoped_release release;
      events = hub.wait(kSignalPeriod);
    }
    if (!events.empty()) return to_list(events);
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    const std::chrono::duration<double> waited = Clock::now() - start;
    if (timeout_s && waited.count() >= *timeout_s) return {};
  }
}

using Released = nb::call_guard<nb::gil_scoped_release>;

void bind_hub(nb::module_& module) {
  nb::class_<EventHub>(module, "Hub")
      .def(
          "__init__",
          [](EventHub* self, std::optional<int> wake_fd) { new (self) EventHub(waker(wake_fd)); },
          "wake_fd"_a = nb::none()
      )
      .def("take", [](EventHub& hub) { return to_list(hub.take()); })
      .def("wait", wait_for_events, "timeout_s"_a = nb::none())
      .def("cancel", &EventHub::cancel, "stream_id"_a, Released())
      .def("discard", &EventHub::discard, "stream_id"_a, Released())
      .def("close", &EventHub::close, Released())
      .def_prop_ro("num_streams", &EventHub::num_streams)
      .def_prop_ro("num_wakes", &EventHub::num_wakes);
}

std::unique_ptr<EngineDoor> open_engine(const std::string& options_json, nb::object progress) {
  LoadProgress report;
  if (!progress.is_none()) {
    report = [&progress](std::int64_t done_bytes, std::int64_t total_bytes) {
      const nb::gil_scoped_acquire acquire;
      try {
        progress(done_bytes, total_bytes);
      } catch (nb::python_error& error) {
        error.discard_as_unraisable("the progress callback of mlx_serving.Engine");
      }
    };
  }
  const nb::gil_scoped_release release;
  return EngineDoor::open(options_json, report);
}

void bind_engine(nb::module_& module) {
  nb::class_<EngineDoor>(module, "Engine")
      .def_static("open", open_engine, "options_json"_a, "progress"_a = nb::none())
      .def("close", &EngineDoor::close, Released())
      .def_prop_ro("is_closed", &EngineDoor::is_closed)
      .def(
          "submit",
          [](EngineDoor& door, EventHub& hub, std::string_view request_json) {
            return door.submit(hub, request_json);
          },
          "hub"_a,
          "request_json"_a,
          Released()
      )
      .def(
          "tokenize",
          [](const EngineDoor& door, std::string_view text, bool add_special, bool parse_special) {
            return door.tokenize(
                text, {.add_special_tokens = add_special, .parse_special_tokens = parse_special}
            );
          },
          "text"_a,
          "add_special_tokens"_a,
          "parse_special_tokens"_a,
          Released()
      )
      .def(
          "detokenize",
          [](const EngineDoor& door, const std::vector<std::int32_t>& ids, bool skip_special) {
            return door.detokenize(ids, {.skip_special_tokens = skip_special});
          },
          "token_ids"_a,
          "skip_special_tokens"_a,
          Released()
      )
      .def("apply_template", &EngineDoor::apply_template, "request_json"_a, Released())
      .def("prompt_token_ids", &EngineDoor::prompt_token_ids, "request_json"_a, Released())
      .def("model_json", &EngineDoor::model_json, Released())
      .def("stats_json", &EngineDoor::stats_json, Released())
      .def("health_json", &EngineDoor::health_json, Released())
      .def(
          "drain",
          [](EngineDoor& door, double timeout_s) {
            return door.drain(std::chrono::milliseconds(static_cast<std::int64_t>(timeout_s * 1e3))
            );
          },
          "timeout_s"_a,
          Released()
      );
}

void bind_server(nb::module_& module) {
  nb::class_<ServerDoor>(module, "Server")
      .def_static("start", &ServerDoor::start, "engine"_a, "options_json"_a, Released())
      .def_prop_ro("url", &ServerDoor::url)
      .def_prop_ro("port", &ServerDoor::port)
      .def("stop", &ServerDoor::stop, Released());
}

nb::dict version_facts() {
  const BackendVersion version = backend_version();
  nb::dict facts;
  facts["mlx_built_with"] = version.built_with;
  facts["mlx_running_on"] = version.running_on;
  facts["backend"] = version.backend;
  return facts;
}

}  // namespace
}  // namespace mlxs

NB_MODULE(_native, module) {
  nb::register_exception_translator(mlxs::translate_error);
  mlxs::bind_hub(module);
  mlxs::bind_engine(module);
  mlxs::bind_server(module);
  module.def("error_names", [] {
    nb::list names;
    for (const std::string_view name : mlxs::error_names())
      names.append(nb::str(name.data(), name.size()));
    return names;
  });
  module.def("version_facts", mlxs::version_facts);
  module.def(
      "run_program",
      [](const std::vector<std::string>& args) { return mlxs::run_program(args); },
      "args"_a,
      nb::call_guard<nb::gil_scoped_release>()
  );
}
