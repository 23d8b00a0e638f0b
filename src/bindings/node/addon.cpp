// The addon mlx_serving.node: the doors as JavaScript objects. It converts and moves what waits off
// the event loop; what a request means is the doors' business, what is pleasant to use the
// package's.
#include <napi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

namespace mlxs {
namespace {

Napi::Error to_js(Napi::Env env, const Error& error) {
  Napi::Error result = Napi::Error::New(env, error.what());
  const std::string_view code = error_name(error.code());
  result.Set("code", Napi::String::New(env, code.data(), code.size()));
  if (!error.param().empty()) result.Set("param", error.param());
  if (const auto wait = error.retry_after())
    result.Set("retryAfter", static_cast<double>(wait->count()));
  return result;
}

// RETURNS: what `act` returns. ERRORS: whatever it throws, as an Error of JavaScript.
template <typename Act>
auto guarded(Napi::Env env, Act act) {
  try {
    return act();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw to_js(env, error);
  } catch (const std::exception& error) {
    throw to_js(env, Error(ErrorCode::engine_error, error.what()));
  }
}

std::string text_at(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsString())
    throw to_js(info.Env(), Error(ErrorCode::invalid_request, "a text was expected"));
  return info[index].As<Napi::String>().Utf8Value();
}

Napi::Array to_array(Napi::Env env, const std::vector<std::int32_t>& ids) {
  Napi::Array array = Napi::Array::New(env, ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i)
    array.Set(static_cast<std::uint32_t>(i), Napi::Number::New(env, ids[i]));
  return array;
}

// Work that waits, on a thread of Node's pool; its promise is settled on the event loop.
template <typename Result>
class PromiseWorker final : public Napi::AsyncWorker {
 public:
  using Act = std::function<Result()>;
  using Convert = std::function<Napi::Value(Napi::Env, Result)>;

  static Napi::Promise start(Napi::Env env, Act act, Convert convert) {
    auto* const worker = new PromiseWorker(env, std::move(act), std::move(convert));
    worker->Queue();  // which also deletes it
    return worker->deferred_.Promise();
  }

  void Execute() override {
    try {
      result_ = act_();
    } catch (const Error& error) {
      error_ = error;
    } catch (const std::exception& error) {
      error_ = Error(ErrorCode::engine_error, error.what());
    }
  }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(to_js(Env(), *error_).Value());
    } else {
      deferred_.Resolve(convert_(Env(), std::move(*result_)));
    }
  }

 private:
  PromiseWorker(Napi::Env env, Act act, Convert convert)
      : AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        act_(std::move(act)),
        convert_(std::move(convert)) {}

  Napi::Promise::Deferred deferred_;
  Act act_;
  Convert convert_;
  std::optional<Result> result_;
  std::optional<Error> error_;
};

// One hub and the one function that engine threads call into this event loop with.
class HubObject final : public Napi::ObjectWrap<HubObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env,
        "Hub",
        {InstanceMethod<&HubObject::cancel>("cancel"),
         InstanceMethod<&HubObject::discard>("discard"),
         InstanceMethod<&HubObject::close>("close"),
         InstanceMethod<&HubObject::ref>("ref"),
         InstanceMethod<&HubObject::unref>("unref"),
         InstanceAccessor<&HubObject::num_streams>("numStreams"),
         InstanceAccessor<&HubObject::num_wakes>("numWakes")}
    );
  }

  explicit HubObject(const Napi::CallbackInfo& info)
      : ObjectWrap(info),
        listener_(Napi::Persistent(info[0].As<Napi::Function>())),
        looker_(Looker::New(info.Env(), "mlx_serving", 0, 1, this)),
        hub_(std::make_unique<EventHub>([looker = looker_] { looker.NonBlockingCall(); })) {
    looker_.Unref(info.Env());
    // Before the looker's own end, as the hooks run from the last to the first.
    napi_add_env_cleanup_hook(info.Env(), end_with_environment, this);
  }

  ~HubObject() override {
    napi_remove_env_cleanup_hook(Env(), end_with_environment, this);
    end();
  }

  [[nodiscard]] EventHub& hub() { return *hub_; }

 private:
  static void end_with_environment(void* self) { static_cast<HubObject*>(self)->end(); }

  // Nothing calls the looker once the hub is closed.
  void end() {
    hub_->close();
    if (std::exchange(is_ended_, true)) return;
    looker_.Abort();
  }

  static void look(Napi::Env env, Napi::Function /*none*/, HubObject* self, void* /*none*/) {
    if (env != nullptr && self != nullptr) self->tell(env);
  }
  using Looker = Napi::TypedThreadSafeFunction<HubObject, void, look>;

  void tell(Napi::Env env) {
    const std::vector<DoorEvent> events = hub_->take();
    if (events.empty()) return;
    Napi::Array list = Napi::Array::New(env, events.size());
    for (std::size_t i = 0; i < events.size(); ++i)
      list.Set(static_cast<std::uint32_t>(i), to_js_event(env, events[i]));
    listener_.Call({list});
  }

  static Napi::Array to_js_event(Napi::Env env, const DoorEvent& event) {
    Napi::Int32Array ids = Napi::Int32Array::New(env, event.token_ids.size());
    if (!event.token_ids.empty())
      std::memcpy(
          ids.Data(), event.token_ids.data(), event.token_ids.size() * sizeof(std::int32_t)
      );
    Napi::Array fields = Napi::Array::New(env, 5);
    fields.Set(0U, Napi::Number::New(env, static_cast<double>(event.stream_id)));
    fields.Set(
        1U,
        event.prompt_tokens ? Napi::Value(Napi::Number::New(env, *event.prompt_tokens)) : env.Null()
    );
    fields.Set(2U, Napi::String::New(env, event.text));
    fields.Set(3U, ids);
    fields.Set(
        4U,
        event.finish_json.empty() ? env.Null()
                                  : Napi::Value(Napi::String::New(env, event.finish_json))
    );
    return fields;
  }

  static std::uint64_t id_at(const Napi::CallbackInfo& info) {
    return static_cast<std::uint64_t>(info[0].ToNumber().Int64Value());
  }
  void cancel(const Napi::CallbackInfo& info) { hub_->cancel(id_at(info)); }
  void discard(const Napi::CallbackInfo& info) { hub_->discard(id_at(info)); }
  void close(const Napi::CallbackInfo& /*info*/) { end(); }
  void ref(const Napi::CallbackInfo& info) {
    if (!is_ended_) looker_.Ref(info.Env());
  }
  void unref(const Napi::CallbackInfo& info) {
    if (!is_ended_) looker_.Unref(info.Env());
  }
  Napi::Value num_streams(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(hub_->num_streams()));
  }
  Napi::Value num_wakes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(hub_->num_wakes()));
  }

  Napi::FunctionReference listener_;
  Looker looker_;
  std::unique_ptr<EventHub> hub_;
  bool is_ended_ = false;
};

// What the addon keeps for each environment (a worker thread has its own).
struct AddonData {
  Napi::FunctionReference engine;
  Napi::FunctionReference server;
};

class EngineObject final : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env,
        "Engine",
        {StaticMethod<&EngineObject::open>("open"),
         InstanceMethod<&EngineObject::close>("close"),
         InstanceMethod<&EngineObject::drain>("drain"),
         InstanceMethod<&EngineObject::submit>("submit"),
         InstanceMethod<&EngineObject::tokenize>("tokenize"),
         InstanceMethod<&EngineObject::detokenize>("detokenize"),
         InstanceMethod<&EngineObject::apply_template>("applyTemplate"),
         InstanceMethod<&EngineObject::prompt_token_ids>("promptTokenIds"),
         InstanceMethod<&EngineObject::model_json>("modelJson"),
         InstanceMethod<&EngineObject::stats_json>("statsJson"),
         InstanceMethod<&EngineObject::health_json>("healthJson"),
         InstanceAccessor<&EngineObject::is_closed>("isClosed")}
    );
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsExternal())
      throw to_js(info.Env(), Error(ErrorCode::invalid_request, "use Engine.open()"));
    door_ = *info[0].As<Napi::External<std::shared_ptr<EngineDoor>>>().Data();
  }

  [[nodiscard]] const EngineDoor& door() const { return *door_; }

 private:
  static Napi::Value open(const Napi::CallbackInfo& info) {
    using Door = std::shared_ptr<EngineDoor>;
    const std::string options = text_at(info, 0);
    return PromiseWorker<Door>::start(
        info.Env(),
        [options]() -> Door { return EngineDoor::open(options); },
        [](Napi::Env env, Door door) -> Napi::Value {
          auto external = Napi::External<Door>::New(env, &door);
          return env.GetInstanceData<AddonData>()->engine.New({external});
        }
    );
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    return PromiseWorker<bool>::start(
        info.Env(),
        [door = door_] {
          door->close();
          return true;
        },
        [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); }
    );
  }

  Napi::Value drain(const Napi::CallbackInfo& info) {
    const std::chrono::milliseconds timeout(info[0].ToNumber().Int64Value());
    return PromiseWorker<int>::start(
        info.Env(),
        [door = door_, timeout] { return door->drain(timeout); },
        [](Napi::Env env, int num_cut) -> Napi::Value { return Napi::Number::New(env, num_cut); }
    );
  }

  Napi::Value submit(const Napi::CallbackInfo& info) {
    EventHub& hub = HubObject::Unwrap(info[0].As<Napi::Object>())->hub();
    const std::string request = text_at(info, 1);
    const auto ids = guarded(info.Env(), [&] { return door_->submit(hub, request); });
    Napi::Array array = Napi::Array::New(info.Env(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      array.Set(
          static_cast<std::uint32_t>(i), Napi::Number::New(info.Env(), static_cast<double>(ids[i]))
      );
    return array;
  }

  Napi::Value tokenize(const Napi::CallbackInfo& info) {
    const std::string text = text_at(info, 0);
    const TokenizeOptions options{
        .add_special_tokens = info[1].ToBoolean(), .parse_special_tokens = info[2].ToBoolean()
    };
    return to_array(info.Env(), guarded(info.Env(), [&] {
                      return door_->tokenize(text, options);
                    }));
  }

  Napi::Value detokenize(const Napi::CallbackInfo& info) {
    const auto array = info[0].As<Napi::Array>();
    std::vector<std::int32_t> ids(array.Length());
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = array.Get(static_cast<std::uint32_t>(i)).ToNumber().Int32Value();
    const DetokenizeOptions options{.skip_special_tokens = info[1].ToBoolean()};
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] {
                               return door_->detokenize(ids, options);
                             }));
  }

  Napi::Value apply_template(const Napi::CallbackInfo& info) {
    const std::string request = text_at(info, 0);
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] {
                               return door_->apply_template(request);
                             }));
  }

  Napi::Value prompt_token_ids(const Napi::CallbackInfo& info) {
    const std::string request = text_at(info, 0);
    return to_array(info.Env(), guarded(info.Env(), [&] {
                      return door_->prompt_token_ids(request);
                    }));
  }

  Napi::Value facts(const Napi::CallbackInfo& info, std::string (EngineDoor::*read)() const) {
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] {
                               return (door_.get()->*read)();
                             }));
  }
  Napi::Value model_json(const Napi::CallbackInfo& info) {
    return facts(info, &EngineDoor::model_json);
  }
  Napi::Value stats_json(const Napi::CallbackInfo& info) {
    return facts(info, &EngineDoor::stats_json);
  }
  Napi::Value health_json(const Napi::CallbackInfo& info) {
    return facts(info, &EngineDoor::health_json);
  }
  Napi::Value is_closed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), door_->is_closed());
  }

  std::shared_ptr<EngineDoor> door_;  // shared with work that is on its way
};

class ServerObject final : public Napi::ObjectWrap<ServerObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env,
        "Server",
        {StaticMethod<&ServerObject::start>("start"),
         InstanceMethod<&ServerObject::stop>("stop"),
         InstanceAccessor<&ServerObject::url>("url"),
         InstanceAccessor<&ServerObject::port>("port")}
    );
  }

  explicit ServerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const EngineDoor& door = EngineObject::Unwrap(info[0].As<Napi::Object>())->door();
    const std::string options = text_at(info, 1);
    server_ = guarded(info.Env(), [&] { return ServerDoor::start(door, options); });
  }

 private:
  static Napi::Value start(const Napi::CallbackInfo& info) {
    return info.Env().GetInstanceData<AddonData>()->server.New({info[0], info[1]});
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    return PromiseWorker<bool>::start(
        info.Env(),
        [server = server_] {
          server->stop();
          return true;
        },
        [](Napi::Env env, bool) -> Napi::Value { return env.Undefined(); }
    );
  }
  Napi::Value url(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), server_->url());
  }
  Napi::Value port(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), server_->port());
  }

  std::shared_ptr<ServerDoor> server_;  // shared with a stop() on its way
};

Napi::Value names_of_errors(const Napi::CallbackInfo& info) {
  const auto names = error_names();
  Napi::Array array = Napi::Array::New(info.Env(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i)
    array.Set(static_cast<std::uint32_t>(i), Napi::String::New(info.Env(), std::string(names[i])));
  return array;
}

Napi::Value version_facts(const Napi::CallbackInfo& info) {
  const BackendVersion version = guarded(info.Env(), [] { return backend_version(); });
  Napi::Object facts = Napi::Object::New(info.Env());
  facts.Set("mlxBuiltWith", version.built_with);
  facts.Set("mlxRunningOn", version.running_on);
  facts.Set("backend", version.backend);
  return facts;
}

Napi::Object define_addon(Napi::Env env, Napi::Object exports) {
  const Napi::Function engine = EngineObject::define(env);
  const Napi::Function server = ServerObject::define(env);
  env.SetInstanceData(new AddonData{Napi::Persistent(engine), Napi::Persistent(server)});
  exports.Set("Hub", HubObject::define(env));
  exports.Set("Engine", engine);
  exports.Set("Server", server);
  exports.Set("errorNames", Napi::Function::New(env, names_of_errors));
  exports.Set("versionFacts", Napi::Function::New(env, version_facts));
  return exports;
}

}  // namespace
}  // namespace mlxs

namespace {

// The macro pastes the name, so that it cannot be a qualified one.
Napi::Object init(Napi::Env env, Napi::Object exports) { return mlxs::define_addon(env, exports); }

}  // namespace

NODE_API_MODULE(mlx_serving, init)
