// How a cover lies in a photo: the perspective with which most pairs of features agree. Each pair has a place,
// direction and size in both pictures, so one pair determines how the whole cover would lie (rotation, scale, shift).
// Pairs that roughly agree are fitted, then those that agree with the fit, by affine, then projective transforms
// (Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007). Deterministic.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <unordered_set>
#include <vector>
#include "features.h"

namespace identify
{
  struct Point
  {
    double x, y;
  };

  // A feature's geometry: place in pixels, direction in radians, size of its patch.
  struct Oriented
  {
    double x, y, direction, size;
    explicit Oriented(const Place &place)
        : x(place.x / PLACE_UNIT), y(place.y / PLACE_UNIT), direction(place.direction * 2 * M_PI / DIRECTIONS), size(std::pow(SCALE, std::min<int>(place.level, LEVELS - 1))) {}
  };

  // The same feature on the cover and in the photo.
  struct Match
  {
    Oriented cover, photo;
    double weight;
  };

  // A projective transform, from the cover to the photo.
  struct Transform
  {
    std::array<double, 9> h;

    double depth(double x, double y) const { return h[6] * x + h[7] * y + h[8]; }
    Point apply(double x, double y) const
    {
      const double w = depth(x, y);
      return {(h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w};
    }
  };

  // How far a pair may deviate and still agree: pixels of the photo, radians, and the factor between sizes.
  struct Tolerance
  {
    double pixels, radians, factor;
  };

  // Whether a pair agrees with a transform in place, in direction and in size.
  inline bool agrees(const Transform &t, const Match &match, const Tolerance &tolerance)
  {
    const auto &[cover, photo, _] = match;
    const double w = t.depth(cover.x, cover.y);
    if (!(w > 1e-9))
      return false;
    const double px = (t.h[0] * cover.x + t.h[1] * cover.y + t.h[2]) / w, py = (t.h[3] * cover.x + t.h[4] * cover.y + t.h[5]) / w;
    const double ex = px - photo.x, ey = py - photo.y;
    if (!(ex * ex + ey * ey <= tolerance.pixels * tolerance.pixels))
      return false;
    // the derivative of the transform there
    const double a = (t.h[0] - px * t.h[6]) / w, b = (t.h[1] - px * t.h[7]) / w, c = (t.h[3] - py * t.h[6]) / w, d = (t.h[4] - py * t.h[7]) / w;
    const double area = a * d - b * c;
    if (!(area > 0))
      return false; // a mirror image
    const double ratio = std::sqrt(area) * cover.size / photo.size;
    if (ratio > tolerance.factor || ratio * tolerance.factor < 1)
      return false;
    const double dx = std::cos(cover.direction), dy = std::sin(cover.direction);
    const double turn = std::atan2(c * dx + d * dy, a * dx + b * dy) - photo.direction;
    return std::abs(std::remainder(turn, 2 * M_PI)) <= tolerance.radians;
  }

  // Solves n linear equations in place (Gaussian elimination with pivoting). Returns false without a unique solution.
  template <int N>
  inline bool solve(double (&m)[N][N + 1])
  {
    for (int column = 0; column < N; column++)
    {
      int pivot = column;
      for (int row = column + 1; row < N; row++)
        if (std::abs(m[row][column]) > std::abs(m[pivot][column]))
          pivot = row;
      if (!(std::abs(m[pivot][column]) > 1e-12))
        return false;
      std::swap_ranges(m[column], m[column] + N + 1, m[pivot]);
      for (int row = 0; row < N; row++)
      {
        if (row == column)
          continue;
        const double factor = m[row][column] / m[column][column];
        for (int i = column; i <= N; i++)
          m[row][i] -= factor * m[column][i];
      }
    }
    for (int row = 0; row < N; row++)
      m[row][N] /= m[row][row];
    return true;
  }

  // Moves and scales points to mean 0 and mean distance 1: equations of larger numbers are solved less exactly.
  struct Frame
  {
    double x = 0, y = 0, scale = 1;
    template <class Get>
    Frame(const std::vector<const Match *> &matches, Get get)
    {
      for (const Match *match : matches)
        x += get(*match).x / matches.size(), y += get(*match).y / matches.size();
      double spread = 0;
      for (const Match *match : matches)
        spread += std::hypot(get(*match).x - x, get(*match).y - y) / matches.size();
      scale = spread > 1e-6 ? 1 / spread : 1;
    }
  };

  // Least-squares fit of a transform to matches: affine (6 unknowns) or projective (8).
  template <int N>
  inline bool fit(const std::vector<const Match *> &matches, Transform &out)
  {
    if (matches.size() < N / 2)
      return false;
    const Frame from(matches, [](const Match &m) -> const Oriented & { return m.cover; });
    const Frame to(matches, [](const Match &m) -> const Oriented & { return m.photo; });
    double m[N][N + 1] = {};
    for (const Match *match : matches)
    {
      const double x = (match->cover.x - from.x) * from.scale, y = (match->cover.y - from.y) * from.scale;
      const double u = (match->photo.x - to.x) * to.scale, v = (match->photo.y - to.y) * to.scale;
      const double equations[2][9] = {{x, y, 1, 0, 0, 0, -u * x, -u * y, u}, {0, 0, 0, x, y, 1, -v * x, -v * y, v}};
      for (const auto &e : equations)
        for (int i = 0; i < N; i++)
        {
          for (int j = 0; j < N; j++)
            m[i][j] += e[i] * e[j];
          m[i][N] += e[i] * e[8];
        }
    }
    if (!solve<N>(m))
      return false;
    double g[9] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < N; i++)
      g[i] = m[i][N];
    // undo the frames: p = (q / scale) + middle on the photo's side, q = (c - middle) * scale on the cover's
    for (int column = 0; column < 3; column++)
    {
      g[column] = g[column] / to.scale + to.x * g[6 + column];
      g[3 + column] = g[3 + column] / to.scale + to.y * g[6 + column];
    }
    for (int row = 0; row < 3; row++)
    {
      double *r = g + 3 * row;
      r[2] -= from.scale * (r[0] * from.x + r[1] * from.y);
      r[0] *= from.scale;
      r[1] *= from.scale;
    }
    std::copy(g, g + 9, out.h.begin());
    return true;
  }

  inline std::vector<const Match *> agreeing(const Transform &t, const std::vector<Match> &matches, const Tolerance &tolerance)
  {
    std::vector<const Match *> found;
    for (const Match &match : matches)
      if (agrees(t, match, tolerance))
        found.push_back(&match);
    return found;
  }

  // Number of distinct points: those less than three pixels apart in either picture count once.
  inline int distinct(const std::vector<const Match *> &matches)
  {
    std::unordered_set<uint32_t> cover, photo;
    const auto cell = [](const Oriented &o) { return static_cast<uint32_t>(std::lround(o.x / 3)) << 16 | static_cast<uint32_t>(std::lround(o.y / 3)); };
    for (const Match *match : matches)
    {
      cover.insert(cell(match->cover));
      photo.insert(cell(match->photo));
    }
    return static_cast<int>(std::min(cover.size(), photo.size()));
  }

  // The cell of a place in a grid of 8 x 8 over the cover, row by row.
  inline int cell_of(const Oriented &place, double width, double height)
  {
    const int column = std::clamp(static_cast<int>(place.x / width * 8), 0, 7), row = std::clamp(static_cast<int>(place.y / height * 8), 0, 7);
    return row * 8 + column;
  }

  // Number of cells with matches.
  inline int spread(const std::vector<const Match *> &matches, double width, double height)
  {
    uint64_t cells = 0;
    for (const Match *match : matches)
      cells |= uint64_t(1) << cell_of(match->cover, width, height);
    return __builtin_popcountll(cells);
  }

  struct Placement
  {
    int points = 0; // distinct ones that agree
    Transform transform;
    std::array<Point, 4> outline;
  };

  // The corners of the cover in the photo. Returns false unless their shape is plausible for a sleeve: convex, not
  // mirrored, between a hundredth and 16 times the photo's area, the longest edge at most six times the shortest.
  inline bool outline_of(const Transform &t, double width, double height, double frame, std::array<Point, 4> &corners)
  {
    const double at[4][2] = {{0, 0}, {width, 0}, {width, height}, {0, height}};
    for (int i = 0; i < 4; i++)
    {
      if (!(t.depth(at[i][0], at[i][1]) > 1e-9))
        return false;
      corners[i] = t.apply(at[i][0], at[i][1]);
    }
    double area = 0, shortest = INFINITY, longest = 0;
    for (int i = 0; i < 4; i++)
    {
      const Point &a = corners[i], &b = corners[(i + 1) % 4], &c = corners[(i + 2) % 4];
      if (!((b.x - a.x) * (c.y - b.y) - (b.y - a.y) * (c.x - b.x) > 0))
        return false;
      area += (a.x * b.y - b.x * a.y) / 2;
      const double edge = std::hypot(b.x - a.x, b.y - a.y);
      shortest = std::min(shortest, edge);
      longest = std::max(longest, edge);
    }
    return area >= frame / 100 && area <= frame * 16 && longest <= 6 * shortest;
  }

  constexpr Tolerance ROUGH{30, M_PI / 5, 1.8};
  constexpr Tolerance CLOSE{12, M_PI / 5, 1.8};
  constexpr Tolerance EXACT{5, M_PI / 5, 1.8};
  // Number of pairs from which a placement is tried, the nearest in code first, and how many of these are fitted.
  constexpr size_t STARTS = 150;
  constexpr size_t FITTED = 4;
  // With fewer pairs, perspective is poorly determined: an affine transform is closer to how the cover lies.
  constexpr size_t LEAST_PROJECTIVE = 8;

  // The placement of a cover with which most matches agree; `matches` are sorted, the most certain first.
  inline Placement place(const std::vector<Match> &matches, double width, double height, double frame)
  {
    struct Start
    {
      size_t agree;
      Transform transform;
    };
    std::vector<Start> starts;
    for (size_t i = 0; i < std::min(matches.size(), STARTS); i++)
    {
      const auto &[cover, photo, _] = matches[i];
      const double turn = photo.direction - cover.direction, scale = photo.size / cover.size;
      const double c = scale * std::cos(turn), s = scale * std::sin(turn);
      const Transform t{{c, -s, photo.x - c * cover.x + s * cover.y, s, c, photo.y - s * cover.x - c * cover.y, 0, 0, 1}};
      starts.push_back({agreeing(t, matches, ROUGH).size(), t});
    }
    std::stable_sort(starts.begin(), starts.end(), [](const Start &a, const Start &b) { return a.agree > b.agree; });
    Placement best;
    for (size_t i = 0; i < std::min(starts.size(), FITTED) && starts[i].agree >= 4; i++)
    {
      Transform t = starts[i].transform;
      auto inliers = agreeing(t, matches, ROUGH);
      bool fitted = true;
      for (int round = 0; round < 3 && fitted; round++)
        if ((fitted = fit<6>(inliers, t)))
          inliers = agreeing(t, matches, round == 0 ? ROUGH : CLOSE);
      for (int round = 0; round < 4 && fitted && inliers.size() >= LEAST_PROJECTIVE; round++)
        if ((fitted = fit<8>(inliers, t)))
          inliers = agreeing(t, matches, round < 2 ? CLOSE : EXACT);
      Placement found;
      if (!fitted || !outline_of(t, width, height, frame, found.outline))
        continue;
      found.points = distinct(inliers);
      found.transform = t;
      if (found.points > best.points)
        best = found;
    }
    return best;
  }
}
