// Index files: bounded reads, durable writes.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <faiss/Index.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include "bounded_memory.h"
#include "served.h"

namespace files
{
  // Reads a file, and refuses a length that exceeds the file before FAISS allocates it.
  class BoundedReader : public faiss::IOReader
  {
  public:
    explicit BoundedReader(const char *path) : file_(path)
    {
      std::fseek(file_.f, 0, SEEK_END);
      bytes_ = std::ftell(file_.f);
      std::rewind(file_.f);
    }

    // Upper bound in bytes on the memory of the file's largest part: little more than in the file, except for small
    // tables that are computed from it.
    size_t most() const { return 2 * bytes_ + (1 << 26); }

    size_t operator()(void *to, size_t size, size_t items) override
    {
      const size_t got = file_(to, size, items);
      if (size == 4 && items == 1 && got == 1 && std::memcmp(to, "ilod", 4) == 0)
        throw served::Unserved("an inverted file whose lists are not in it (on-disk lists)");
      uint64_t length;
      if (size == sizeof(length) && items == 1 && got == 1)
      {
        // Lengths of vectors are read this way, and other counts, none of which exceeds the file; also two fields that
        // always hold 1 << 20.
        std::memcpy(&length, to, sizeof(length));
        if (length > bytes_ && length != 1 << 20)
          throw std::runtime_error("a length is beyond the file");
      }
      return got;
    }

  private:
    faiss::FileIOReader file_;
    uint64_t bytes_;
  };

  // Writes a file, and throws on disk errors: FAISS's own writer only prints those at the end.
  class CheckedWriter : public faiss::IOWriter
  {
  public:
    explicit CheckedWriter(const char *path) : file_(std::fopen(path, "wb"))
    {
      if (!file_)
        fail();
    }

    ~CheckedWriter() override
    {
      if (file_)
        std::fclose(file_);
    }

    size_t operator()(const void *from, size_t size, size_t items) override
    {
      const size_t written = std::fwrite(from, size, items, file_);
      if (written != items)
        fail();
      return written;
    }

    // Everything is on the disk when this returns.
    void finish()
    {
      if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0)
        fail();
      FILE *file = file_;
      file_ = nullptr;
      if (std::fclose(file) != 0)
        fail();
    }

  private:
    FILE *file_;
    [[noreturn]] static void fail() { throw std::runtime_error(std::strerror(errno)); }
  };

  // Reads an index file, without validating it (served.h does that).
  inline std::unique_ptr<faiss::Index> read(const std::string &path)
  {
    BoundedReader reader(path.c_str());
    const bounded_memory::Bound bound(reader.most());
    return std::unique_ptr<faiss::Index>(faiss::read_index(&reader));
  }

  inline void write(const faiss::Index &index, const std::string &path)
  {
    CheckedWriter writer(path.c_str());
    faiss::write_index(&index, &writer);
    writer.finish();
  }
}
