// The Python module: arrays in, array out, checked here so that the synthesis need not.

#include "synthesis.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace py = pybind11;
using Array = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;

namespace {

Image read(const Array &array, const std::string &name) {
    if (array.ndim() != 3)
        throw std::invalid_argument(name + " must have three axes: height, width and channels");
    Image image(static_cast<int>(array.shape(1)), static_cast<int>(array.shape(0)),
                static_cast<int>(array.shape(2)));
    std::transform(array.data(), array.data() + array.size(), image.pixels.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value); });
    return image;
}

Array write(const Image &image) {
    Array array({image.height, image.width, image.channels});
    std::transform(image.pixels.begin(), image.pixels.end(), array.mutable_data(), [](float value) {
        return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0F, 255.0F)));
    });
    return array;
}

Array run(const Array &style, const Array &source_guide, const Array &target_guide, float guide_weight, int patch,
          int levels, std::uint32_t seed) {
    const Image painted = read(style, "style");
    const Image source = read(source_guide, "source_guide");
    const Image target = read(target_guide, "target_guide");
    if (source.width != painted.width || source.height != painted.height)
        throw std::invalid_argument("style and source_guide must have the same size");
    if (source.channels != target.channels)
        throw std::invalid_argument("the guides must have the same channels");
    if (patch < 3 || patch % 2 == 0)
        throw std::invalid_argument("patch must be odd, and 3 at least");
    if (std::min({painted.width, painted.height, target.width, target.height}) < patch)
        throw std::invalid_argument("an image is smaller than a patch");

    Options options;
    options.guide_weight = guide_weight;
    options.patch = patch;
    options.levels = levels;
    options.seed = seed;
    py::gil_scoped_release others_may_run;
    Image picture = synthesize(painted, source, target, options);
    py::gil_scoped_acquire back;
    return write(picture);
}

} // namespace

PYBIND11_MODULE(guided_patchmatch, module) {
    module.doc() = "Example-based image synthesis: guided PatchMatch on a pyramid";
    module.def("synthesize", &run, py::arg("style"), py::arg("source_guide"), py::arg("target_guide"), py::kw_only(),
               py::arg("guide_weight") = 2.0F, py::arg("patch") = 5, py::arg("levels") = 4, py::arg("seed") = 0);
}
