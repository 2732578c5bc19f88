// Local features of a grey picture: FAST corners over a pyramid, each with a direction and a binary code of 256 bits
// (ORB: Rublee et al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011), written for this project. The pairs
// of points that a code compares are drawn at random (BRIEF: Calonder et al., ECCV 2010), so codes are comparable with
// each other, but not with those of other libraries.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// Compiled in several versions for x86; the best is chosen when the binary is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace identify
{
  // Eight levels, each 1.2 times smaller than the previous one: sizes up to 3.6 times apart, as in the paper.
  constexpr int LEVELS = 8;
  constexpr float SCALE = 1.2f;
  // Grey levels by which nine of the sixteen pixels around a corner must differ from it: the second threshold is used
  // if the first gives too few corners.
  constexpr int THRESHOLDS[] = {20, 7};
  // Radius in pixels of the disc that determines direction and code, and the margin that it needs.
  constexpr int RADIUS = 15;
  constexpr int MARGIN = RADIUS + 1;
  // Steps of a full turn in which a direction is stored; the pattern is rotated to every second one.
  constexpr int DIRECTIONS = 256;
  constexpr int ROTATIONS = 128;
  constexpr int BITS = 256;

  using Code = std::array<uint64_t, BITS / 64>;

  // The location of a feature, as stored: 6 bytes.
  struct Place
  {
    uint16_t x, y;     // in 32nds of a pixel of the picture
    uint8_t direction; // in 256ths of a full turn
    uint8_t level;     // of the pyramid, from 0: its patch is SCALE^level times as large
  };
  constexpr float PLACE_UNIT = 32;
  static_assert(sizeof(Place) == 6 && sizeof(Code) == 32);

  struct Features
  {
    std::vector<Code> codes;
    std::vector<Place> places;
  };

  struct Grey
  {
    int width, height;
    std::vector<uint8_t> pixels;
    const uint8_t *row(int y) const { return pixels.data() + static_cast<size_t>(y) * width; }
    uint8_t *row(int y) { return pixels.data() + static_cast<size_t>(y) * width; }
  };

  // Shrinks by bilinear interpolation, aligned at pixel centres.
  inline Grey shrink(const Grey &from, int width, int height)
  {
    Grey to{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height)};
    const float sx = static_cast<float>(from.width) / width, sy = static_cast<float>(from.height) / height;
    std::vector<int> left(width), right_weight(width);
    for (int x = 0; x < width; x++)
    {
      const float at = std::clamp((x + 0.5f) * sx - 0.5f, 0.f, from.width - 1.001f);
      left[x] = static_cast<int>(at);
      right_weight[x] = static_cast<int>((at - left[x]) * 256);
    }
    for (int y = 0; y < height; y++)
    {
      const float at = std::clamp((y + 0.5f) * sy - 0.5f, 0.f, from.height - 1.001f);
      const int top = static_cast<int>(at), low = static_cast<int>((at - top) * 256);
      const uint8_t *a = from.row(top), *b = from.row(top + 1);
      uint8_t *out = to.row(y);
      for (int x = 0; x < width; x++)
      {
        const int l = left[x], w = right_weight[x];
        const int upper = a[l] * (256 - w) + a[l + 1] * w, lower = b[l] * (256 - w) + b[l + 1] * w;
        out[x] = static_cast<uint8_t>((upper * (256 - low) + lower * low + 32768) >> 16);
      }
    }
    return to;
  }

  // One pass of a Gaussian of sigma 2 over seven taps (weights in 256ths).
  FOR_EACH_CPU inline void blur_line(const uint8_t *const taps[7], uint8_t *out, int n)
  {
    const uint8_t *a = taps[0], *b = taps[1], *c = taps[2], *d = taps[3], *e = taps[4], *f = taps[5], *g = taps[6];
    for (int x = 0; x < n; x++)
      out[x] = static_cast<uint8_t>((18 * (a[x] + g[x]) + 33 * (b[x] + f[x]) + 49 * (c[x] + e[x]) + 56 * d[x] + 128) >> 8);
  }

  // Blurs what is at least three pixels from the edge; the codes read nothing else.
  inline Grey blur(const Grey &from)
  {
    Grey across{from.width, from.height, from.pixels}, to = across;
    const uint8_t *taps[7];
    for (int y = 0; y < from.height; y++)
    {
      for (int i = 0; i < 7; i++)
        taps[i] = from.row(y) + i;
      blur_line(taps, across.row(y) + 3, from.width - 6);
    }
    for (int y = 3; y < from.height - 3; y++)
    {
      for (int i = 0; i < 7; i++)
        taps[i] = across.row(y + i - 3);
      blur_line(taps, to.row(y), from.width);
    }
    return to;
  }

  // The circle of sixteen pixels around a corner, clockwise from above.
  constexpr int CIRCLE[16][2] = {{0, -3}, {1, -3}, {2, -2}, {3, -1}, {3, 0}, {3, 1}, {2, 2}, {1, 3}, {0, 3}, {-1, 3}, {-2, 2}, {-3, 1}, {-3, 0}, {-3, -1}, {-2, -2}, {-1, -3}};

  struct Corner
  {
    int x, y;
    float strength;
  };

  // Number of pixels compared at once; the compiler generates instructions for any processor.
  constexpr int LANES = 32;
  typedef uint8_t Lanes __attribute__((vector_size(LANES)));

  // Marks the pixels of a row that may be corners: an arc of nine contains one of any two opposite pixels of the
  // circle. The last pixels, fewer than LANES, are all marked.
  FOR_EACH_CPU inline void mark_candidates(const uint8_t *row, const int circle[16], int threshold, int n, uint8_t *marks)
  {
    const Lanes none{}, all = ~none, step = none + static_cast<uint8_t>(threshold);
    int x = 0;
    for (; x + LANES <= n; x += LANES)
    {
      Lanes value, a, b;
      std::memcpy(&value, row + x, LANES);
      const Lanes above = value + step, below = value - step;
      const Lanes high = above < value ? all : above, low = below > value ? none : below;
      Lanes brighter = all, darker = all;
      for (int i = 0; i < 8; i++)
      {
        std::memcpy(&a, row + x + circle[i], LANES);
        std::memcpy(&b, row + x + circle[i + 8], LANES);
        brighter &= (Lanes)((a > b ? a : b) > high);
        darker &= (Lanes)((a < b ? a : b) < low);
      }
      value = brighter | darker;
      std::memcpy(marks + x, &value, LANES);
    }
    std::fill(marks + x, marks + n, 1);
  }

  inline bool has_arc(uint32_t ring)
  {
    ring |= ring << 16;
    ring &= ring >> 1;
    ring &= ring >> 2;
    ring &= ring >> 4; // runs of eight
    return (ring & (ring >> 1)) != 0;
  }

  // How much a corner differs from its circle, beyond the threshold; 0 if it is not a corner.
  inline int fast_score(const uint8_t *p, const int circle[16], int threshold)
  {
    uint32_t brighter = 0, darker = 0;
    int above = 0, below = 0;
    for (int i = 0; i < 16; i++)
    {
      const int difference = p[circle[i]] - *p;
      if (difference > threshold)
      {
        brighter |= 1u << i;
        above += difference - threshold;
      }
      else if (difference < -threshold)
      {
        darker |= 1u << i;
        below -= difference + threshold;
      }
    }
    return std::max(has_arc(brighter) ? above : 0, has_arc(darker) ? below : 0);
  }

  // The circle as offsets from a pixel of the level.
  inline void circle_in(const Grey &level, int (&circle)[16])
  {
    for (int i = 0; i < 16; i++)
      circle[i] = CIRCLE[i][1] * level.width + CIRCLE[i][0];
  }

  // Corners after non-maximum suppression.
  inline std::vector<Corner> find_corners(const Grey &level, int threshold)
  {
    int circle[16];
    circle_in(level, circle);
    const int from = MARGIN, to = level.width - MARGIN;
    std::vector<uint8_t> marks(level.width);
    std::vector<uint16_t> scores(static_cast<size_t>(level.width) * 3, 0); // of the last three rows
    std::vector<int> found[3];                                             // the corners in them
    std::vector<Corner> corners;
    const auto row_of = [&](int y) { return scores.data() + static_cast<size_t>(y % 3) * level.width; };
    for (int y = MARGIN; y <= level.height - MARGIN; y++)
    {
      uint16_t *row = row_of(y);
      for (const int x : found[y % 3])
        row[x] = 0;
      found[y % 3].clear();
      if (y < level.height - MARGIN)
      {
        const uint8_t *pixels = level.row(y);
        mark_candidates(pixels + from, circle, threshold, to - from, marks.data() + from);
        for (int x = from; x < to; x++)
          if (marks[x])
            if (const int score = fast_score(pixels + x, circle, threshold))
            {
              row[x] = static_cast<uint16_t>(score);
              found[y % 3].push_back(x);
            }
      }
      if (y == MARGIN)
        continue;
      const uint16_t *middle = row_of(y - 1), *above = row_of(y + 1), *below = row;
      for (const int x : found[(y - 1) % 3])
      {
        const uint16_t s = middle[x];
        if (s > middle[x - 1] && s >= middle[x + 1] && s > above[x - 1] && s > above[x] && s > above[x + 1] && s >= below[x - 1] && s >= below[x] && s >= below[x + 1])
          corners.push_back({x, y - 1, static_cast<float>(s)});
      }
    }
    return corners;
  }

  // Harris measure over 7 x 7 pixels: positive for corners, negative for edges.
  inline float harris(const Grey &level, int x, int y)
  {
    int xx = 0, yy = 0, xy = 0;
    const int w = level.width;
    for (int j = -3; j <= 3; j++)
    {
      const uint8_t *p = level.row(y + j) + x - 3;
      for (int i = 0; i < 7; i++, p++)
      {
        const int dx = 2 * (p[1] - p[-1]) + p[1 - w] - p[-1 - w] + p[1 + w] - p[-1 + w];
        const int dy = 2 * (p[w] - p[-w]) + p[w - 1] - p[-w - 1] + p[w + 1] - p[-w + 1];
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
      }
    }
    const float a = static_cast<float>(xx), b = static_cast<float>(yy), c = static_cast<float>(xy);
    return a * b - c * c - 0.04f * (a + b) * (a + b);
  }

  inline void keep_strongest(std::vector<Corner> &corners, size_t most)
  {
    if (corners.size() <= most)
      return;
    std::nth_element(corners.begin(), corners.begin() + most, corners.end(), [](const Corner &a, const Corner &b) {
      return a.strength != b.strength ? a.strength > b.strength : a.y != b.y ? a.y < b.y : a.x < b.x;
    });
    corners.resize(most);
  }

  // Keeps the strongest corners of each part of the picture, so that no texture takes all: first the strongest of every
  // cell of 32 pixels, then the second of every cell, and so on.
  inline void keep_spread(std::vector<Corner> &corners, size_t most, int width)
  {
    constexpr int CELL = 32;
    std::sort(corners.begin(), corners.end(), [](const Corner &a, const Corner &b) {
      return a.strength != b.strength ? a.strength > b.strength : a.y != b.y ? a.y < b.y : a.x < b.x;
    });
    const int columns = width / CELL + 1;
    std::vector<uint32_t> taken;
    std::vector<std::pair<uint32_t, uint32_t>> order; // rank in its cell, index in `corners`
    for (uint32_t i = 0; i < corners.size(); i++)
    {
      const size_t cell = static_cast<size_t>(corners[i].y / CELL) * columns + corners[i].x / CELL;
      if (cell >= taken.size())
        taken.resize(cell + 1, 0);
      order.push_back({taken[cell]++, i});
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min(order.size(), most));
    std::vector<Corner> kept;
    for (const auto &[_, i] : order)
      kept.push_back(corners[i]);
    corners = std::move(kept);
  }

  // The direction in which a disc is brighter: from its middle to its centre of brightness; 0 to 255.
  inline uint8_t direction_of(const Grey &level, int x, int y)
  {
    static const std::array<int, RADIUS + 1> half = [] {
      std::array<int, RADIUS + 1> widths{};
      for (int j = 0; j <= RADIUS; j++)
        widths[j] = static_cast<int>(std::sqrt(static_cast<float>(RADIUS * RADIUS - j * j)) + 0.5f);
      return widths;
    }();
    int mx = 0, my = 0;
    for (int j = -RADIUS; j <= RADIUS; j++)
    {
      const uint8_t *p = level.row(y + j) + x;
      int sum = 0;
      for (int i = -half[std::abs(j)]; i <= half[std::abs(j)]; i++)
      {
        sum += p[i];
        mx += i * p[i];
      }
      my += j * sum;
    }
    const float turn = std::atan2(static_cast<float>(my), static_cast<float>(mx)) / (2 * static_cast<float>(M_PI));
    return static_cast<uint8_t>(static_cast<int>(std::lround(turn * DIRECTIONS)) & (DIRECTIONS - 1));
  }

  // The pairs of points that a code compares, rotated to each direction.
  struct Pattern
  {
    int8_t points[ROTATIONS][BITS][4]; // x, y of the first point, x, y of the second

    Pattern()
    {
      uint32_t state = 20111106;
      const auto uniform = [&state] { // -1 to 1: xorshift (Marsaglia, 2003), the same on every machine
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return static_cast<float>(state >> 8) / (1 << 23) - 1;
      };
      // Anywhere in the disc, 3 to 10 pixels apart: in photos of sleeves, more features match than with the normal
      // distribution around the middle that BRIEF's authors preferred.
      const auto draw = [&uniform](float *point) {
        do
        {
          point[0] = (RADIUS - 1) * uniform();
          point[1] = (RADIUS - 1) * uniform();
        } while (std::hypot(point[0], point[1]) > RADIUS - 1);
      };
      for (int bit = 0; bit < BITS; bit++)
      {
        float a[2], b[2], apart;
        draw(a);
        do
        {
          draw(b);
          apart = std::hypot(a[0] - b[0], a[1] - b[1]);
        } while (apart < 3 || apart > 10);
        for (int r = 0; r < ROTATIONS; r++)
        {
          const float angle = r * 2 * static_cast<float>(M_PI) / ROTATIONS, c = std::cos(angle), s = std::sin(angle);
          const float turned[4] = {a[0] * c - a[1] * s, a[0] * s + a[1] * c, b[0] * c - b[1] * s, b[0] * s + b[1] * c};
          for (int i = 0; i < 4; i++)
            points[r][bit][i] = static_cast<int8_t>(std::lround(turned[i]));
        }
      }
    }
  };

  inline Code code_of(const Grey &blurred, int x, int y, uint8_t direction)
  {
    static const Pattern pattern;
    const auto &points = pattern.points[(direction * ROTATIONS + DIRECTIONS / 2) / DIRECTIONS % ROTATIONS];
    const uint8_t *middle = blurred.row(y) + x;
    const int w = blurred.width;
    Code code{};
    for (int bit = 0; bit < BITS; bit++)
    {
      const int8_t *p = points[bit];
      code[bit / 64] |= static_cast<uint64_t>(middle[p[1] * w + p[0]] < middle[p[3] * w + p[2]]) << (bit % 64);
    }
    return code;
  }

  // At most `most` features, the larger share from the finer levels. The strongest of all levels come first, so that a
  // prefix is about what a smaller `most` would give; those found only with the lower threshold come last, since they
  // are merely the strongest of otherwise empty cells.
  inline Features extract(Grey picture, size_t most)
  {
    Features found;
    std::vector<std::pair<float, uint32_t>> order; // sort key (lowest first), index
    const float share = (1 - 1 / SCALE) / (1 - std::pow(1 / SCALE, static_cast<float>(LEVELS)));
    const int width = picture.width, height = picture.height;
    Grey level = std::move(picture);
    float scale = 1;
    size_t spare = 0; // unused budget of finer levels
    for (int l = 0; l < LEVELS; l++, scale *= SCALE)
    {
      const int w = static_cast<int>(std::lround(width / scale)), h = static_cast<int>(std::lround(height / scale));
      if (std::min(w, h) <= 2 * MARGIN)
        break;
      if (l > 0)
        level = shrink(level, w, h);
      const size_t budget = spare + static_cast<size_t>(std::lround(most * share / scale));
      std::vector<Corner> corners;
      for (const int threshold : THRESHOLDS)
        if (corners.size() < 2 * budget)
          corners = find_corners(level, threshold);
      keep_strongest(corners, 4 * budget);
      for (Corner &corner : corners)
        corner.strength = harris(level, corner.x, corner.y);
      corners.erase(std::remove_if(corners.begin(), corners.end(), [](const Corner &corner) { return corner.strength <= 0; }), corners.end());
      keep_spread(corners, budget, w);
      spare = budget - corners.size();
      if (corners.empty())
        continue;
      const Grey blurred = blur(level);
      int circle[16];
      circle_in(level, circle);
      const float sx = static_cast<float>(width) / w, sy = static_cast<float>(height) / h;
      for (size_t i = 0; i < corners.size(); i++)
      {
        const Corner &corner = corners[i];
        const uint8_t direction = direction_of(level, corner.x, corner.y);
        const bool clear = fast_score(level.row(corner.y) + corner.x, circle, THRESHOLDS[0]) > 0;
        order.push_back({static_cast<float>(i) / budget + (clear ? 0 : 1), static_cast<uint32_t>(order.size())});
        found.codes.push_back(code_of(blurred, corner.x, corner.y, direction));
        found.places.push_back({static_cast<uint16_t>(std::lround((corner.x + 0.5f) * sx * PLACE_UNIT)), static_cast<uint16_t>(std::lround((corner.y + 0.5f) * sy * PLACE_UNIT)), direction, static_cast<uint8_t>(l)});
      }
    }
    std::sort(order.begin(), order.end());
    Features sorted;
    for (const auto &[_, i] : order)
    {
      sorted.codes.push_back(found.codes[i]);
      sorted.places.push_back(found.places[i]);
    }
    return sorted;
  }
}
