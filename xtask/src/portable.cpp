// What newer C++ compilers call in newer system libraries than those of glibc 2.28 and GCC 8, for programs that are to run there.

#include <new>
#include <sstream>

extern "C" {
// glibc 2.32. 0: the reference counts of shared pointers are always counted atomically.
extern char __libc_single_threaded;
char __libc_single_threaded = 0;
}

namespace std {

// GCC 11.
void __throw_bad_array_new_length() { throw bad_array_new_length(); }

// GCC 9.
template basic_ostringstream<char>::basic_ostringstream();
template basic_stringstream<char>::basic_stringstream();

}  // namespace std
