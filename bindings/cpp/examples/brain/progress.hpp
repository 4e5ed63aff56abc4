// One line that is drawn again and again while something runs.
#ifndef BRAIN_PROGRESS_HPP
#define BRAIN_PROGRESS_HPP

#include <chrono>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace brain {

/// Seconds since it was made.
class stopwatch {
  public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A bar with a title and a few words; where the output is no terminal, the last state only.
class progress {
  public:
    explicit progress(std::string title) : title_(std::move(title)) {}

    /// Draws the bar, at most ten times a second.
    void show(double share, const std::string &words) {
        if (!terminal_ || watch_.seconds() < next_) {
            return;
        }
        next_ = watch_.seconds() + 0.1;
        std::printf("\r\033[K");
        draw(share, words);
        std::fflush(stdout);
    }

    /// Draws the full bar and ends the line.
    void done(const std::string &words) {
        std::printf("%s", terminal_ ? "\r\033[K" : "");
        draw(1.0, words);
        std::printf("\n");
        std::fflush(stdout);
    }

  private:
    void draw(double share, const std::string &words) const {
        constexpr int width = 24;
        const int full = int(share * width + 0.5);
        std::printf("  %-9s[%s%s]  %s", title_.c_str(), std::string(std::size_t(full), '=').c_str(),
                    std::string(std::size_t(width - full), ' ').c_str(), words.c_str());
    }

    std::string title_;
    stopwatch watch_;
    double next_ = 0.0;
    bool terminal_ = isatty(STDOUT_FILENO) != 0;
};

/// printf into a string.
template <class... Values> std::string words(const char *format, Values... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

} // namespace brain

#endif
