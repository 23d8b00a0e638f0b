// Older versions of TLS, compression and renegotiation are off.
#include "server/http/tls.h"

#include <openssl/ssl.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

namespace ssl = boost::asio::ssl;

[[noreturn]] void fail(
    const char* what, const std::string& path, const boost::system::error_code& ec
) {
  throw Error(
      ErrorCode::invalid_config,
      fmt::format("the {} {} cannot be used: {}", what, path, ec.message())
  );
}

}  // namespace

std::unique_ptr<ssl::context> make_tls_context(
    const std::string& certificate_path, const std::string& key_path
) {
  auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
  context->set_options(
      ssl::context::default_workarounds | ssl::context::no_compression |
      ssl::context::single_dh_use | SSL_OP_NO_RENEGOTIATION
  );
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  boost::system::error_code ec;
  (void)context->use_certificate_chain_file(certificate_path, ec);
  if (ec) fail("certificate", certificate_path, ec);
  (void)context->use_private_key_file(key_path, ssl::context::pem, ec);
  if (ec) fail("key", key_path, ec);
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("the key {} does not belong to the certificate {}", key_path, certificate_path)
    );
  }
  return context;
}

}  // namespace mlxs
