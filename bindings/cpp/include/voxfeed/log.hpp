// The log: lines about what is no error, and would otherwise happen in silence.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_LOG_HPP
#define VOXFEED_LOG_HPP

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "error.hpp"

namespace voxfeed {

/// How much a line matters: something is lost, it goes on but not as wanted, what the library decided by itself.
enum class log_level : vxf_log_level {
    error = VXF_LOG_LEVEL_ERROR,
    warning = VXF_LOG_LEVEL_WARNING,
    info = VXF_LOG_LEVEL_INFO,
};

/// When the log calls: at once and on any thread, or in process_events() on the thread that calls that.
enum class log_mode : vxf_log_mode { direct = VXF_LOG_MODE_DIRECT, queued = VXF_LOG_MODE_QUEUED };

/// Told one line, which is the library's: copy what you keep.
using log_function = std::function<void(log_level level, std::string_view line)>;

namespace detail {

/// The function that the library calls; taken back when the program ends.
struct log_owner {
    std::mutex changing;
    std::unique_ptr<log_function> function;

    log_owner() = default;
    log_owner(const log_owner &) = delete;
    log_owner &operator=(const log_owner &) = delete;
    ~log_owner() {
        if (function) {
            vxf_set_log(0, 0, nullptr, nullptr);
        }
    }

    static log_owner &instance() {
        static log_owner only;
        return only;
    }

    /// Whether this thread is inside the function, where a change would wait for itself.
    static bool &inside() noexcept {
        static thread_local bool now = false;
        return now;
    }

    static void run(vxf_log_level level, const char *line, void *user_data) noexcept {
        const log_function &told = *static_cast<log_function *>(user_data);
        inside() = true;
#ifndef VXF_NO_EXCEPTIONS
        try {
            told(static_cast<log_level>(level), line);
        } catch (...) {
            // There is nobody to give it to: an exception must not cross C, and the line's cause goes on.
        }
#else
        told(static_cast<log_level>(level), line);
#endif
        inside() = false;
    }
};

} // namespace detail

/// Sets who is told the lines of this level and of those that matter more, in the whole process; {} for nobody.
///
/// When it returns, calls of the function before have ended, on whichever thread. What the function throws is
/// swallowed. Called directly it must be quick, safe on any thread, and make no call of voxfeed.
/// Errors: ERR_STATE inside the log's own function.
inline void set_log(log_function told, log_level least = log_level::info, log_mode mode = log_mode::direct) {
    detail::require_library();
    if (detail::log_owner::inside()) {
        detail::fail(error(VXF_STATUS_ERR_STATE, "the log is set inside its own function: do it after that"));
    }
    detail::log_owner &owner = detail::log_owner::instance();
    std::unique_ptr<log_function> next;
    if (told) {
        next = std::make_unique<log_function>(std::move(told));
    }
    const std::lock_guard<std::mutex> one_at_a_time(owner.changing);
    detail::check(vxf_set_log(static_cast<vxf_log_level>(least), static_cast<vxf_log_mode>(mode),
                              next ? &detail::log_owner::run : nullptr, next.get()));
    owner.function = std::move(next);
}

/// Tells the lines that wait under log_mode::queued, on this thread. Errors: ERR_STATE inside the log's function.
inline void process_events() { detail::check(vxf_process_events()); }

} // namespace voxfeed

#endif
