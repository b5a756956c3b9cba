// Preloaded library that shifts CLOCK_REALTIME of one process by the seconds in a file.
// The file holds a 64-bit signed integer and may change while the process runs.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_seconds;

__attribute__((constructor)) static void map_offset_file(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *content = mmap(0, sizeof *offset_seconds, PROT_READ, MAP_SHARED, file, 0);
    if (content != MAP_FAILED) offset_seconds = content;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && offset_seconds && clock == CLOCK_REALTIME) now->tv_sec += *offset_seconds;
    return failed ? -1 : 0;
}
