// Guided image synthesis in the manner of StyLit (Fišer et al., SIGGRAPH 2016): from coarse to fine, find for each
// patch of the picture the patch of the style that fits it in colour and guide, with PatchMatch (Barnes et al.,
// SIGGRAPH 2009), and let overlapping patches vote on each pixel.

#include "synthesis.hpp"

#include <algorithm>
#include <limits>
#include <random>

namespace {

struct Point {
    int x;
    int y;
};

// One level of the pyramid, with the picture as it is so far.
class Level {
  public:
    Level(const Image &style, const Image &source, const Image &target, const Options &options)
        : style_(style), source_(source), target_(target), options_(options), radius_(options.patch / 2),
          picture_(target.width, target.height, style.channels),
          field_(static_cast<std::size_t>(target.width) * target.height),
          costs_(field_.size()) {}

    void start_at_random(std::mt19937 &chance) {
        for (Point &q : field_)
            q = {radius_ + below(chance, style_.width - 2 * radius_),
                 radius_ + below(chance, style_.height - 2 * radius_)};
        vote();
    }

    void start_from(const Level &coarse) {
        for (int y = 0; y < target_.height; ++y)
            for (int x = 0; x < target_.width; ++x) {
                const int px = std::min(x / 2, coarse.target_.width - 1);
                const int py = std::min(y / 2, coarse.target_.height - 1);
                const Point q = coarse.field_[static_cast<std::size_t>(py) * coarse.target_.width + px];
                field(x, y) = inside({2 * q.x + x % 2, 2 * q.y + y % 2});
            }
        vote();
    }

    void refine(std::mt19937 &chance) {
        for (int round = 0; round < options_.votes; ++round) {
            measure(); // the picture has changed, and with it what its patches cost
            for (int sweep = 0; sweep < options_.sweeps; ++sweep)
                search(sweep % 2 == 0, chance);
            vote();
        }
    }

    const Image &picture() const { return picture_; }

  private:
    static int below(std::mt19937 &chance, int limit) {
        return static_cast<int>(chance() % static_cast<std::uint32_t>(limit));
    }

    Point &field(int x, int y) { return field_[static_cast<std::size_t>(y) * target_.width + x]; }
    float &cost(int x, int y) { return costs_[static_cast<std::size_t>(y) * target_.width + x]; }

    // The nearest centre of a patch that lies in the style as a whole.
    Point inside(Point q) const {
        return {std::clamp(q.x, radius_, style_.width - 1 - radius_),
                std::clamp(q.y, radius_, style_.height - 1 - radius_)};
    }

    static float distance(const float *a, const float *b, int channels) {
        float sum = 0;
        for (int c = 0; c < channels; ++c)
            sum += (a[c] - b[c]) * (a[c] - b[c]);
        return sum;
    }

    // How badly the style's patch round q fits the picture's round (x, y); given up once above the limit.
    float compare(int x, int y, Point q, float limit) const {
        float sum = 0;
        for (int dy = -radius_; dy <= radius_; ++dy) {
            const int ty = std::clamp(y + dy, 0, target_.height - 1);
            for (int dx = -radius_; dx <= radius_; ++dx) {
                const int tx = std::clamp(x + dx, 0, target_.width - 1);
                sum += distance(style_.at(q.x + dx, q.y + dy), picture_.at(tx, ty), style_.channels);
                sum += options_.guide_weight *
                       distance(source_.at(q.x + dx, q.y + dy), target_.at(tx, ty), source_.channels);
            }
            if (sum >= limit)
                return sum;
        }
        return sum;
    }

    void measure() {
        for (int y = 0; y < target_.height; ++y)
            for (int x = 0; x < target_.width; ++x)
                cost(x, y) = compare(x, y, field(x, y), std::numeric_limits<float>::max());
    }

    void attempt(int x, int y, Point q) {
        const float sum = compare(x, y, q, cost(x, y));
        if (sum < cost(x, y)) {
            cost(x, y) = sum;
            field(x, y) = q;
        }
    }

    // One sweep: what fits the neighbours may fit here, moved by one; so may something at random, ever nearer.
    void search(bool forward, std::mt19937 &chance) {
        const int step = forward ? 1 : -1;
        const int pixels = target_.width * target_.height;
        for (int n = 0; n < pixels; ++n) {
            const int position = forward ? n : pixels - 1 - n;
            const int x = position % target_.width;
            const int y = position / target_.width;
            if (x - step >= 0 && x - step < target_.width) {
                const Point q = field(x - step, y);
                attempt(x, y, inside({q.x + step, q.y}));
            }
            if (y - step >= 0 && y - step < target_.height) {
                const Point q = field(x, y - step);
                attempt(x, y, inside({q.x, q.y + step}));
            }
            for (int reach = std::max(style_.width, style_.height); reach >= 1; reach /= 2) {
                const Point q = field(x, y);
                const int dx = below(chance, 2 * reach + 1) - reach;
                const int dy = below(chance, 2 * reach + 1) - reach;
                attempt(x, y, inside({q.x + dx, q.y + dy}));
            }
        }
    }

    // Each pixel becomes the mean of what the patches that cover it say.
    void vote() {
        for (int y = 0; y < target_.height; ++y)
            for (int x = 0; x < target_.width; ++x) {
                float *pixel = picture_.at(x, y);
                std::fill(pixel, pixel + style_.channels, 0.0F);
                int voices = 0;
                for (int dy = -radius_; dy <= radius_; ++dy)
                    for (int dx = -radius_; dx <= radius_; ++dx) {
                        if (x + dx < 0 || x + dx >= target_.width || y + dy < 0 || y + dy >= target_.height)
                            continue;
                        const Point q = field(x + dx, y + dy);
                        const float *colour = style_.at(q.x - dx, q.y - dy);
                        for (int c = 0; c < style_.channels; ++c)
                            pixel[c] += colour[c];
                        ++voices;
                    }
                for (int c = 0; c < style_.channels; ++c)
                    pixel[c] /= static_cast<float>(voices);
            }
    }

    const Image &style_;
    const Image &source_;
    const Image &target_;
    const Options &options_;
    int radius_;
    Image picture_;
    std::vector<Point> field_; // for each pixel of the target, the centre of its patch in the style
    std::vector<float> costs_;
};

Image half(const Image &image) {
    Image small((image.width + 1) / 2, (image.height + 1) / 2, image.channels);
    for (int y = 0; y < small.height; ++y)
        for (int x = 0; x < small.width; ++x)
            for (int c = 0; c < image.channels; ++c) {
                const int right = std::min(2 * x + 1, image.width - 1);
                const int under = std::min(2 * y + 1, image.height - 1);
                small.at(x, y)[c] = (image.at(2 * x, 2 * y)[c] + image.at(right, 2 * y)[c] +
                                     image.at(2 * x, under)[c] + image.at(right, under)[c]) /
                                    4;
            }
    return small;
}

bool big_enough(const Image &image, int patch) { return std::min(image.width, image.height) >= 2 * patch; }

} // namespace

Image synthesize(const Image &style, const Image &source, const Image &target, const Options &options) {
    std::vector<Image> styles{style}, sources{source}, targets{target};
    while (static_cast<int>(styles.size()) < options.levels) {
        Image smaller_style = half(styles.back());
        Image smaller_target = half(targets.back());
        if (!big_enough(smaller_style, options.patch) || !big_enough(smaller_target, options.patch))
            break;
        sources.push_back(half(sources.back()));
        styles.push_back(std::move(smaller_style));
        targets.push_back(std::move(smaller_target));
    }

    std::mt19937 chance(options.seed);
    std::vector<Level> levels; // from coarse to fine
    levels.reserve(styles.size());
    for (std::size_t n = styles.size(); n-- > 0;) {
        levels.emplace_back(styles[n], sources[n], targets[n], options);
        if (levels.size() == 1)
            levels.back().start_at_random(chance);
        else
            levels.back().start_from(levels[levels.size() - 2]);
        levels.back().refine(chance);
    }
    return levels.back().picture();
}
