// Limits the size of an allocation while a file is read: FAISS trusts the sizes in a damaged file (the bits of a
// product quantizer, for example), and allocates before it reads on.
//
// Include it in one source file, and link with -Bsymbolic-functions, so that FAISS, which is linked in, allocates here.
#pragma once

#include <cstdlib>
#include <limits>
#include <new>

namespace bounded_memory
{
  inline thread_local size_t most = std::numeric_limits<size_t>::max();

  // While it exists, an allocation of more than `bytes` in this thread fails with std::bad_alloc.
  class Bound
  {
  public:
    explicit Bound(size_t bytes) { most = bytes; }
    Bound(const Bound &) = delete;
    ~Bound() { most = std::numeric_limits<size_t>::max(); }
  };
}

void *operator new(size_t bytes)
{
  if (bytes > bounded_memory::most)
    throw std::bad_alloc();
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}

void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
