#include "server/subject_table.h"

#include <algorithm>
#include <string>

#include "core/base/digest.h"

namespace sallyport::server {

// Each part is preceded by its length, so that no two triples are spelled alike.
SubjectTable::Key SubjectTable::key(std::string_view issuer, std::string_view subject, std::string_view route) {
  std::string text;
  text.reserve(issuer.size() + subject.size() + route.size() + 16);
  for (const std::string_view piece : {issuer, subject, route}) {
    text += std::to_string(piece.size());
    text += ':';
    text += piece;
  }
  const base::Sha256 digest = base::sha256(text);
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  return key;
}

SubjectTable::Taken SubjectTable::take(const Key& key, Place place, std::uint32_t limit, WhenFull when_full) {
  Part& mine = part(key);
  const std::lock_guard lock(mine.mutex);
  const auto found = mine.places.find(key);
  if (found == mine.places.end()) {
    mine.places.emplace(key, std::vector<Place>{place});
    return {};
  }
  std::vector<Place>& places = found->second;
  Taken taken;
  if (places.size() >= limit) {
    if (when_full == WhenFull::kReject) return {.ok = false};
    taken.evicted = places.front();
    places.erase(places.begin());
  }
  places.push_back(place);
  return taken;
}

void SubjectTable::release(const Key& key, Place place) {
  Part& mine = part(key);
  const std::lock_guard lock(mine.mutex);
  const auto found = mine.places.find(key);
  if (found == mine.places.end()) return;
  std::erase(found->second, place);
  if (found->second.empty()) mine.places.erase(found);
}

std::size_t SubjectTable::size() const {
  std::size_t all = 0;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    all += part.places.size();
  }
  return all;
}

}  // namespace sallyport::server
