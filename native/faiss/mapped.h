// Codes that stay in the index file, which is mapped into memory: loading reads only ids, and the system may drop pages
// that are not in use. The file must not be changed while it is mapped, only replaced.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/invlists/InvertedLists.h>

namespace mapped
{
  using idx_t = decltype(faiss::Index::ntotal);

  // A whole file.
  class File
  {
  public:
    File(int descriptor, size_t bytes)
        : bytes_(bytes), start_(mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0)),
          descriptor_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
    {
      if (start_ != MAP_FAILED && descriptor_ >= 0)
        return;
      const std::string why = std::strerror(errno);
      end();
      throw std::runtime_error("the file cannot be mapped: " + why);
    }
    File(const File &) = delete;
    ~File() { end(); }

    const uint8_t *start() const { return static_cast<const uint8_t *>(start_); }

    // Copies a part, without its pages counting as memory of this process.
    void read(size_t at, size_t bytes, uint8_t *to) const
    {
      while (bytes > 0)
      {
        const ssize_t got = pread(descriptor_, to, bytes, at);
        if (got < 0 && errno == EINTR)
          continue;
        if (got <= 0)
          throw std::runtime_error(std::string("the file cannot be read: ") + (got < 0 ? std::strerror(errno) : "it ended"));
        at += got;
        to += got;
        bytes -= got;
      }
    }

  private:
    size_t bytes_;
    void *start_;
    int descriptor_;

    void end()
    {
      if (start_ != MAP_FAILED)
        munmap(start_, bytes_);
      if (descriptor_ >= 0)
        close(descriptor_);
    }
  };

  // Inverted lists, of which the codes are mapped. Whoever makes them fills in ids and codes.
  struct Lists : faiss::InvertedLists
  {
    std::vector<std::vector<idx_t>> ids;
    std::vector<const uint8_t *> codes;

    Lists(size_t nlist, size_t code_size, std::shared_ptr<const File> file)
        : InvertedLists(nlist, code_size), ids(nlist), codes(nlist), file_(std::move(file))
    {
    }

    size_t list_size(size_t list) const override { return ids[list].size(); }
    const uint8_t *get_codes(size_t list) const override { return codes[list]; }
    const idx_t *get_ids(size_t list) const override { return ids[list].data(); }

    size_t add_entries(size_t, size_t, const idx_t *, const uint8_t *) override { refuse(); }
    void update_entries(size_t, size_t, size_t, const idx_t *, const uint8_t *) override { refuse(); }
    void resize(size_t, size_t) override { refuse(); }

  private:
    std::shared_ptr<const File> file_;
    [[noreturn]] static void refuse() { throw std::logic_error("mapped lists cannot be changed"); }
  };

  // A scalar quantizer's codes, one vector's after another's, from a place in a file on, which is mapped; in memory if
  // `file` is null.
  struct Codes : faiss::IndexScalarQuantizer
  {
    std::shared_ptr<const File> file;
    size_t place;

    // @param empty says all but the codes
    Codes(const faiss::IndexScalarQuantizer &empty, std::shared_ptr<const File> from, size_t at)
        : IndexScalarQuantizer(empty), file(std::move(from)), place(at)
    {
    }

    // Copies a row's code.
    void copy(size_t row, uint8_t *to) const { file->read(place + row * code_size, code_size, to); }

    void reconstruct(idx_t row, float *out) const override
    {
      if (!file)
        return IndexScalarQuantizer::reconstruct(row, out);
      std::vector<uint8_t> code(code_size);
      copy(row, code.data());
      sq.decode(code.data(), out, 1);
    }

    void read_into_memory()
    {
      if (file)
        codes.assign(file->start() + place, file->start() + place + ntotal * code_size);
      file = nullptr;
    }
  };

  // An index whose codes are in a file, or null.
  inline const Codes *in_file(const faiss::Index &index)
  {
    const auto *codes = dynamic_cast<const Codes *>(&index);
    return codes && codes->file ? codes : nullptr;
  }

  // Where the codes of an index lie, mapped or not.
  inline const uint8_t *codes_of(const faiss::IndexFlatCodes &index)
  {
    const auto *codes = in_file(index);
    return codes ? codes->file->start() + codes->place : index.codes.data();
  }

  // Reads what is mapped of an index into memory, so that it can be changed or written.
  inline void read_into_memory(faiss::Index &index)
  {
    if (auto *refined = dynamic_cast<faiss::IndexRefine *>(&index))
    {
      read_into_memory(*refined->base_index);
      read_into_memory(*refined->refine_index);
    }
    if (auto *wrapped = dynamic_cast<faiss::IndexPreTransform *>(&index))
      read_into_memory(*wrapped->index);
    if (auto *codes = dynamic_cast<Codes *>(&index))
      codes->read_into_memory();
    auto *ivf = dynamic_cast<faiss::IndexIVF *>(&index);
    const auto *mapped = ivf ? dynamic_cast<const Lists *>(ivf->invlists) : nullptr;
    if (!mapped)
      return;
    auto lists = std::make_unique<faiss::ArrayInvertedLists>(mapped->nlist, mapped->code_size);
    for (size_t i = 0; i < mapped->nlist; i++)
      lists->add_entries(i, mapped->list_size(i), mapped->get_ids(i), mapped->get_codes(i));
    ivf->replace_invlists(lists.release(), true);
  }
}
