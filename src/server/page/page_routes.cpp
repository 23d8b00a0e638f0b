// The policy of the contents lets the page run its own scripts and talk to this server, and nothing
// else.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/page/page_files.h"
#include "server/page/routes.h"

namespace mlxs {
namespace {

constexpr std::string_view kFolder = "/ui/";
constexpr std::string_view kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  return "text/html; charset=utf-8";
}

}  // namespace

Task<void> handle_page(const ApiContext& /*context*/, Exchange& exchange) {
  const std::string_view path = exchange.request().path;
  const std::string_view name = path == "/" ? "index.html" : path.substr(kFolder.size());
  const auto files = page_files();
  const auto found = std::ranges::find(files, name, &PageFile::name);
  if (found == files.end()) throw std::logic_error("a route of the page has no file");
  HttpResponse response;
  response.content_type = type_of(name);
  response.body = found->text;
  response.headers.push_back({"Content-Security-Policy", std::string(kContentPolicy)});
  response.headers.push_back({"Referrer-Policy", "no-referrer"});
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
