#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// Pixels in rows, channels interleaved.
struct Image {
    int width = 0;
    int height = 0;
    int channels = 0;
    std::vector<float> pixels;

    Image(int width, int height, int channels)
        : width(width), height(height), channels(channels),
          pixels(static_cast<std::size_t>(width) * height * channels) {}

    float *at(int x, int y) { return &pixels[(static_cast<std::size_t>(y) * width + x) * channels]; }
    const float *at(int x, int y) const {
        return &pixels[(static_cast<std::size_t>(y) * width + x) * channels];
    }
};

struct Options {
    float guide_weight = 2.0F; // how much a difference of guides counts, against one of colours
    int patch = 5;             // side of a patch in pixels, odd
    int levels = 4;            // of the pyramid, at most; a level that is too small is left out
    int votes = 4;             // times a level's picture is made anew from its patches
    int sweeps = 3;            // of PatchMatch before each vote
    std::uint32_t seed = 0;
};

// Paint a picture that looks like `style` and follows `target` the way that `style` follows `source`.
Image synthesize(const Image &style, const Image &source, const Image &target, const Options &options);
