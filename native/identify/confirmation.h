// Confirms a cover's placement suggested by a few pairs of features: each of its features is searched for at its own
// place in the photo. Among the nearest neighbours of all covers, a feature of the right one is often missing, more so
// in a larger set; at its place it only competes with the features there.
#pragma once

#include "placement.h"
#include "votes.h"

namespace identify
{
  struct Described
  {
    std::vector<Code> codes;
    std::vector<Oriented> places;
    void add(const Code &code, const Place &place) { codes.push_back(code), places.emplace_back(place); }
  };

  // The features of a photo, with look-up of those near a point.
  class Photo
  {
  public:
    const double width, height;
    Described features;

    Photo(const Features &found, double photo_width, double photo_height) : width(photo_width), height(photo_height), columns_(static_cast<int>(width / CELL) + 1), rows_(static_cast<int>(height / CELL) + 1), cells_(static_cast<size_t>(columns_) * rows_)
    {
      for (uint32_t i = 0; i < found.codes.size(); i++)
      {
        features.add(found.codes[i], found.places[i]);
        const Oriented &place = features.places[i];
        cells_[static_cast<size_t>(cell(place.y, rows_)) * columns_ + cell(place.x, columns_)].push_back(i);
      }
    }

    template <class Visit>
    void around(const Point &point, double radius, Visit visit) const
    {
      for (int row = cell(point.y - radius, rows_); row <= cell(point.y + radius, rows_); row++)
        for (int column = cell(point.x - radius, columns_); column <= cell(point.x + radius, columns_); column++)
          for (const uint32_t i : cells_[static_cast<size_t>(row) * columns_ + column])
            visit(i);
    }

    // Whether a feature can be found there: none is closer to the edge.
    bool shows(const Point &point) const { return point.x >= MARGIN && point.y >= MARGIN && point.x < width - MARGIN && point.y < height - MARGIN; }

  private:
    static constexpr int CELL = 16;
    static int cell(double at, int count) { return static_cast<int>(std::clamp(at / CELL, 0., count - 1.)); }
    int columns_, rows_;
    std::vector<std::vector<uint32_t>> cells_;
  };

  // Codes that differ in at most this many bits are taken for the same corner; those of different corners differ in
  // half of the 256 on average.
  constexpr int ALIKE = 56;

  struct Confirmation
  {
    int points = 0;  // features found at their expected places, at different places and dissimilar to each other
    int cells = 0;   // cells with such features, of an 8 x 8 grid over the cover
    int visible = 0; // features of the cover whose expected place is inside the photo
    std::array<Point, 4> outline;
    std::vector<float> spots; // for each point x and y in the photo, and its cell
  };

  struct Agreement
  {
    int distance;
    uint32_t feature; // of the cover
    Match match;
  };

  // Each feature of the cover with the most similar one at its place, if similar enough.
  inline std::vector<Agreement> look_up(const Described &cover, const Photo &photo, const Transform &t, const Tolerance &tolerance, int &visible)
  {
    std::vector<Agreement> found;
    visible = 0;
    for (uint32_t i = 0; i < cover.places.size(); i++)
    {
      const Oriented &place = cover.places[i];
      if (!(t.depth(place.x, place.y) > 1e-9))
        continue;
      const Point at = t.apply(place.x, place.y);
      if (!photo.shows(at))
        continue;
      visible++;
      int best = ALIKE + 1;
      const Oriented *where = nullptr;
      photo.around(at, tolerance.pixels, [&](uint32_t j) {
        const int distance = hamming(cover.codes[i], photo.features.codes[j]);
        if (distance < best && agrees(t, {place, photo.features.places[j], 0}, tolerance))
        {
          best = distance;
          where = &photo.features.places[j];
        }
      });
      if (where)
        found.push_back({best, i, {place, *where, 0}});
    }
    return found;
  }

  // Keeps one of several similar features, as in a repeating pattern, and one of several at the same point.
  inline std::vector<const Match *> distinct_kinds(std::vector<Agreement> &found, const Described &cover)
  {
    std::stable_sort(found.begin(), found.end(), [](const Agreement &a, const Agreement &b) { return a.distance < b.distance; });
    std::vector<const Agreement *> kept;
    const auto together = [](const Oriented &a, const Oriented &b) { return std::hypot(a.x - b.x, a.y - b.y) < 3; };
    for (const Agreement &one : found)
      if (std::none_of(kept.begin(), kept.end(), [&](const Agreement *other) {
            return hamming(cover.codes[one.feature], cover.codes[other->feature]) <= ALIKE || together(one.match.cover, other->match.cover) || together(one.match.photo, other->match.photo);
          }))
        kept.push_back(&one);
    std::vector<const Match *> matches;
    for (const Agreement *one : kept)
      matches.push_back(&one->match);
    return matches;
  }

  // Refits the transform to the features that were found, and searches again.
  inline Confirmation confirm(const Placement &placement, const Described &cover, const Photo &photo, double width, double height)
  {
    Confirmation result;
    result.outline = placement.outline;
    Transform t = placement.transform;
    for (const Tolerance &tolerance : {CLOSE, EXACT})
    {
      const auto found = look_up(cover, photo, t, tolerance, result.visible);
      std::vector<const Match *> matches;
      for (const Agreement &one : found)
        matches.push_back(&one.match);
      Transform better{{0, 0, 0, 0, 0, 0, 0, 0, 1}};
      if (!(matches.size() >= LEAST_PROJECTIVE ? fit<8>(matches, better) : fit<6>(matches, better)) || !outline_of(better, width, height, photo.width * photo.height, result.outline))
        break;
      t = better;
    }
    auto found = look_up(cover, photo, t, EXACT, result.visible);
    const auto matches = distinct_kinds(found, cover);
    result.points = static_cast<int>(matches.size());
    result.cells = spread(matches, width, height);
    for (const Match *match : matches)
      result.spots.insert(result.spots.end(), {static_cast<float>(match->photo.x), static_cast<float>(match->photo.y), static_cast<float>(cell_of(match->cover, width, height))});
    return result;
  }
}
