// SPDX-License-Identifier: Apache-2.0
//
// Errors as values. base/ holds what every other folder needs: results, strong
// types, small utilities. It does no I/O and includes no other folder.
#pragma once

#include <fmt/core.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace dnsdirector {

/// What went wrong, as one sentence for an operator: what, where (file,
/// interface, server), and what would be right. Never a bare errno text.
struct Error {
    std::string message;

    friend bool operator==(const Error&, const Error&) = default;
};

template <typename T>
using Result = tl::expected<T, Error>;

/// `return fail("interface {} does not exist; ...", name);`
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...)});
}

/// "what: strerror(errno_value)". `what` says the operation and its object.
[[nodiscard]] Error system_error(const std::string& what, int errno_value);

/// As system_error, ready to be returned from a function that yields Result<T>.
[[nodiscard]] inline tl::unexpected<Error> fail_errno(const std::string& what, int errno_value) {
    return tl::unexpected<Error>(system_error(what, errno_value));
}

}  // namespace dnsdirector
