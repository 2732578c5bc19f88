// Inverted lists whose codes stay in the index file, which is mapped into memory: loading reads only the ids, and the
// system may drop pages that are not in use. The file must not be changed while it is mapped, only replaced.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>
#include <sys/mman.h>
#include <faiss/IndexIVF.h>
#include <faiss/invlists/InvertedLists.h>

namespace mapped_lists
{
  using idx_t = decltype(faiss::Index::ntotal);

  struct MappedLists : faiss::InvertedLists
  {
    std::vector<std::vector<idx_t>> ids;
    std::vector<const uint8_t *> codes;

    // Maps the whole file of so many bytes. The caller fills in ids and codes.
    MappedLists(size_t nlist, size_t code_size, int file, size_t bytes)
        : InvertedLists(nlist, code_size), ids(nlist), codes(nlist), bytes_(bytes),
          start_(mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0))
    {
      if (start_ == MAP_FAILED)
        throw std::runtime_error(std::string("the file cannot be mapped: ") + std::strerror(errno));
    }

    ~MappedLists() override { munmap(start_, bytes_); }

    const uint8_t *start() const { return static_cast<const uint8_t *>(start_); }

    size_t list_size(size_t list) const override { return ids[list].size(); }
    const uint8_t *get_codes(size_t list) const override { return codes[list]; }
    const idx_t *get_ids(size_t list) const override { return ids[list].data(); }

    size_t add_entries(size_t, size_t, const idx_t *, const uint8_t *) override { refuse(); }
    void update_entries(size_t, size_t, size_t, const idx_t *, const uint8_t *) override { refuse(); }
    void resize(size_t, size_t) override { refuse(); }

  private:
    size_t bytes_;
    void *start_;
    [[noreturn]] static void refuse() { throw std::logic_error("mapped lists cannot be changed"); }
  };

  // Reads mapped lists into memory, so that they can be changed or written. Does nothing for others.
  inline void read_into_memory(faiss::IndexIVF &ivf)
  {
    const auto *mapped = dynamic_cast<const MappedLists *>(ivf.invlists);
    if (!mapped)
      return;
    auto lists = std::make_unique<faiss::ArrayInvertedLists>(mapped->nlist, mapped->code_size);
    for (size_t i = 0; i < mapped->nlist; i++)
      lists->add_entries(i, mapped->list_size(i), mapped->get_ids(i), mapped->get_codes(i));
    ivf.replace_invlists(lists.release(), true);
  }
}
