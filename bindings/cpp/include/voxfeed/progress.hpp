// Functions of the caller's that are told how far a long call is.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_PROGRESS_HPP
#define VOXFEED_PROGRESS_HPP

#include <cstdint>
#include <exception>
#include <functional>

#include "error.hpp"

namespace voxfeed {

/// Told of what is done, of how much; false stops.
using progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

namespace detail {

/// Carries a progress function through C, which no exception may cross.
struct progress_call {
    const progress *function;
#ifndef VXF_NO_EXCEPTIONS
    std::exception_ptr thrown;
#endif

    static std::int32_t run(std::uint64_t done, std::uint64_t total, void *user_data) noexcept {
        progress_call *call = static_cast<progress_call *>(user_data);
#ifndef VXF_NO_EXCEPTIONS
        try {
            return (*call->function)(done, total) ? 0 : 1;
        } catch (...) {
            call->thrown = std::current_exception();
            return 1;
        }
#else
        return (*call->function)(done, total) ? 0 : 1;
#endif
    }
};

/// Makes a call that takes a progress function of C's kind; false where the caller's asked to stop.
template <typename Call> bool with_progress(const progress &told, const Call &make) {
    progress_call call{};
    call.function = &told;
    const bool wanted = static_cast<bool>(told);
    const vxf_status status = make(wanted ? &progress_call::run : nullptr, wanted ? &call : nullptr);
#ifndef VXF_NO_EXCEPTIONS
    if (call.thrown) {
        std::rethrow_exception(call.thrown);
    }
#endif
    return check(status) == VXF_STATUS_OK;
}

} // namespace detail

} // namespace voxfeed

#endif
