// The certificate that a server shows.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace mlxs {

// RETURNS: a context for TLS 1.2 and later. ERRORS: Error(invalid_config) for files that cannot be
// read, are no certificate chain and key in PEM, or do not belong together.
[[nodiscard]] std::unique_ptr<boost::asio::ssl::context> make_tls_context(
    const std::string& certificate_path, const std::string& key_path
);

}  // namespace mlxs
