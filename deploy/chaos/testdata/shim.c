/* Preloaded into a redis-server: moves its wall clock and slows its disk while it
 * runs. Both are read from a shared page, the file that CHAOS_SHIM names:
 * [0] seconds added to the wall clock, [1] milliseconds added to each sync.
 * (libfaketime and the allocator Redis is built with do not get on.) */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shared;

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("CHAOS_SHIM");
    int fd = name ? open(name, O_RDONLY) : -1;
    if (fd < 0) abort();
    void *page = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) abort();
    close(fd);
    shared = page;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
    int r = (int)syscall(SYS_clock_gettime, id, ts);
    if (r == 0 && shared && id == CLOCK_REALTIME) ts->tv_sec += shared[0];
    return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
    (void)tz;
    struct timespec ts;
    int r = clock_gettime(CLOCK_REALTIME, &ts);
    if (r == 0) {
        tv->tv_sec = ts.tv_sec;
        tv->tv_usec = ts.tv_nsec / 1000;
    }
    return r;
}

time_t time(time_t *t) {
    struct timespec ts;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) return -1;
    if (t) *t = ts.tv_sec;
    return ts.tv_sec;
}

int fdatasync(int fd) {
    if (shared && shared[1] > 0) usleep((useconds_t)shared[1] * 1000);
    return (int)syscall(SYS_fdatasync, fd);
}
