/*
 * What Android's C library has and glibc has not, or has in another size, for android_library.py: enough to load
 * libopencv_java4.so of the Android archive into a Java machine on Linux. Every name here gets the version LIBC, which
 * that library asks for; the script adds a jump to glibc for each further name.
 *
 * Objects of pthread are smaller in bionic than in glibc (a mutex has 4 bytes on 32-bit ARM), so the first word of
 * bionic's object holds a pointer to glibc's, made at first use; zero is bionic's static initialiser.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ctype.h>

/* Makes `shim_NAME` the symbol NAME@LIBC. */
#define SHIM(name) __asm__(".symver shim_" #name "," #name "@LIBC")

#define SLOT(type, object) ((type *)*(void **)(object))

static void *made(void **slot, size_t bytes, int (*init)(void *)) {
    void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE), *none = NULL;
    if (found) return found;
    void *fresh = calloc(1, bytes);
    if (!fresh || init(fresh)) abort();
    if (__atomic_compare_exchange_n(slot, &none, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return fresh;
    free(fresh);
    return none;
}

static int forget(void *object, int (*destroy)(void *)) {
    void *found = *(void **)object;
    if (!found) return 0;
    int code = destroy(found);
    free(found);
    *(void **)object = NULL;
    return code;
}

#define KIND(name, type, how)                                                                                         \
    static int init_##name(void *object) { return how; }                                                              \
    static int destroy_##name(void *object) { return pthread_##name##_destroy(object); }                              \
    static type *name##_of(void *slot) { return made(slot, sizeof(type), init_##name); }                              \
    int shim_pthread_##name##_destroy(void *slot) { return forget(slot, destroy_##name); }                            \
    SHIM(pthread_##name##_destroy);
#define CALL(kind, function)                                                                                          \
    int shim_##function(void *slot) { return function(kind##_of(slot)); }                                             \
    SHIM(function);

KIND(mutex, pthread_mutex_t, pthread_mutex_init(object, NULL))
CALL(mutex, pthread_mutex_lock)
CALL(mutex, pthread_mutex_trylock)
CALL(mutex, pthread_mutex_unlock)
KIND(cond, pthread_cond_t, pthread_cond_init(object, NULL))
CALL(cond, pthread_cond_signal)
CALL(cond, pthread_cond_broadcast)
KIND(rwlock, pthread_rwlock_t, pthread_rwlock_init(object, NULL))
CALL(rwlock, pthread_rwlock_rdlock)
CALL(rwlock, pthread_rwlock_wrlock)
CALL(rwlock, pthread_rwlock_unlock)
KIND(attr, pthread_attr_t, pthread_attr_init(object))

/* bionic's mutexattr is a long with the type in its low bits: 0 normal, 1 recursive, 2 checking, as in glibc. */
int shim_pthread_mutexattr_init(long *attr) { return *attr = 0; }
SHIM(pthread_mutexattr_init);
int shim_pthread_mutexattr_settype(long *attr, int type) { return *attr = type, 0; }
SHIM(pthread_mutexattr_settype);
int shim_pthread_mutexattr_destroy(long *attr) { return (void)attr, 0; }
SHIM(pthread_mutexattr_destroy);
int shim_pthread_mutex_init(void **slot, const long *attr) {
    pthread_mutexattr_t ours;
    pthread_mutexattr_init(&ours);
    pthread_mutexattr_settype(&ours, attr ? (int)(*attr & 3) : PTHREAD_MUTEX_NORMAL);
    *slot = calloc(1, sizeof(pthread_mutex_t));
    return *slot ? pthread_mutex_init(*slot, &ours) : ENOMEM;
}
SHIM(pthread_mutex_init);

int shim_pthread_cond_init(void **slot, const void *attr) { return *slot = NULL, (void)attr, 0; }
SHIM(pthread_cond_init);
int shim_pthread_cond_wait(void *slot, void *mutex) { return pthread_cond_wait(cond_of(slot), mutex_of(mutex)); }
SHIM(pthread_cond_wait);
int shim_pthread_cond_timedwait(void *slot, void *mutex, const struct timespec *until) {
    return pthread_cond_timedwait(cond_of(slot), mutex_of(mutex), until);
}
SHIM(pthread_cond_timedwait);

int shim_pthread_attr_init(void **slot) { return *slot = NULL, attr_of(slot) ? 0 : ENOMEM; }
SHIM(pthread_attr_init);
int shim_pthread_attr_setdetachstate(void *slot, int state) { return pthread_attr_setdetachstate(attr_of(slot), state); }
SHIM(pthread_attr_setdetachstate);
int shim_pthread_attr_setstacksize(void *slot, size_t size) { return pthread_attr_setstacksize(attr_of(slot), size); }
SHIM(pthread_attr_setstacksize);
int shim_pthread_attr_getstack(void *slot, void **at, size_t *size) { return pthread_attr_getstack(attr_of(slot), at, size); }
SHIM(pthread_attr_getstack);
int shim_pthread_getattr_np(pthread_t thread, void **slot) {
    *slot = calloc(1, sizeof(pthread_attr_t));
    return *slot ? pthread_getattr_np(thread, *slot) : ENOMEM;
}
SHIM(pthread_getattr_np);
int shim_pthread_create(pthread_t *thread, void *slot, void *(*start)(void *), void *argument) {
    return pthread_create(thread, slot ? attr_of(slot) : NULL, start, argument);
}
SHIM(pthread_create);

int shim_sem_init(void **slot, int shared, unsigned value) {
    *slot = calloc(1, sizeof(sem_t));
    return *slot ? sem_init(*slot, shared, value) : -1;
}
SHIM(sem_init);
static int destroy_sem(void *object) { return sem_destroy(object); }
int shim_sem_destroy(void *slot) { return forget(slot, destroy_sem); }
SHIM(sem_destroy);
int shim_sem_post(void *slot) { return sem_post(SLOT(sem_t, slot)); }
SHIM(sem_post);
int shim_sem_wait(void *slot) { return sem_wait(SLOT(sem_t, slot)); }
SHIM(sem_wait);

/* bionic's jmp_buf is smaller than glibc's, which would write behind it: libjpeg and libpng keep theirs in a struct. */
#if defined(__aarch64__)
__asm__(".text\n.globl shim_setjmp\n.type shim_setjmp,%function\nshim_setjmp:\n"
        "stp x19,x20,[x0]\nstp x21,x22,[x0,16]\nstp x23,x24,[x0,32]\nstp x25,x26,[x0,48]\nstp x27,x28,[x0,64]\n"
        "stp x29,x30,[x0,80]\nmov x2,sp\nstr x2,[x0,96]\nstp d8,d9,[x0,104]\nstp d10,d11,[x0,120]\n"
        "stp d12,d13,[x0,136]\nstp d14,d15,[x0,152]\nmov w0,0\nret\n"
        ".globl shim_longjmp\n.type shim_longjmp,%function\nshim_longjmp:\n"
        "ldp x19,x20,[x0]\nldp x21,x22,[x0,16]\nldp x23,x24,[x0,32]\nldp x25,x26,[x0,48]\nldp x27,x28,[x0,64]\n"
        "ldp x29,x30,[x0,80]\nldr x2,[x0,96]\nmov sp,x2\nldp d8,d9,[x0,104]\nldp d10,d11,[x0,120]\n"
        "ldp d12,d13,[x0,136]\nldp d14,d15,[x0,152]\ncmp w1,0\ncinc w0,w1,eq\nret\n");
#else
__asm__(".text\n.arm\n.globl shim_setjmp\n.type shim_setjmp,%function\nshim_setjmp:\n"
        "stmia r0!,{r4-r11}\nstr sp,[r0],#4\nstr lr,[r0],#4\nvstmia r0,{d8-d15}\nmov r0,#0\nbx lr\n"
        ".globl shim_longjmp\n.type shim_longjmp,%function\nshim_longjmp:\n"
        "ldmia r0!,{r4-r11}\nldr sp,[r0],#4\nldr lr,[r0],#4\nvldmia r0,{d8-d15}\nmovs r0,r1\nmoveq r0,#1\nbx lr\n");
#endif
SHIM(setjmp);
SHIM(longjmp);

/* Android ends an app without the destructors of its libraries; here that of OpenCV locks a mutex that is gone. */
int shim___cxa_atexit(void (*destructor)(void *), void *object, void *library) {
    return (void)destructor, (void)object, (void)library, 0;
}
SHIM(__cxa_atexit);
void shim___cxa_finalize(void *library) { (void)library; }
SHIM(__cxa_finalize);

int *shim___errno(void) { return &errno; }
SHIM(__errno);
void shim___assert2(const char *file, int line, const char *function, const char *text) {
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, function, text);
    abort();
}
SHIM(__assert2);
void shim_android_set_abort_message(const char *text) { fprintf(stderr, "%s\n", text); }
SHIM(android_set_abort_message);
int shim___system_property_get(const char *name, char *value) { return (void)name, *value = 0; }
SHIM(__system_property_get);
size_t shim___strlen_chk(const char *text, size_t room) { return (void)room, strlen(text); }
SHIM(__strlen_chk);
char *shim___strchr_chk(const char *text, int c, size_t room) { return (void)room, strchr(text, c); }
SHIM(__strchr_chk);
char *shim___strncpy_chk2(char *to, const char *from, size_t count, size_t room, size_t held) {
    return (void)room, (void)held, strncpy(to, from, count);
}
SHIM(__strncpy_chk2);
int __android_log_write(int level, const char *tag, const char *text) {
    return (void)level, fprintf(stderr, "%s: %s\n", tag, text);
}
int __android_log_print(int level, const char *tag, const char *format, ...) {
    va_list list;
    va_start(list, format);
    (void)level;
    fprintf(stderr, "%s: ", tag);
    vfprintf(stderr, format, list);
    va_end(list);
    return fputc('\n', stderr);
}

/* bionic's streams are members of an array, in the place of which the program's real streams are used. */
char shim___sF[3][sizeof(void *) == 8 ? 152 : 84];
SHIM(__sF);
static FILE *stream(void *given) {
    return given == shim___sF[0] ? stdin : given == shim___sF[1] ? stdout : given == shim___sF[2] ? stderr : given;
}
int shim_vfprintf(void *to, const char *format, va_list list) { return vfprintf(stream(to), format, list); }
SHIM(vfprintf);
int shim_fprintf(void *to, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int count = vfprintf(stream(to), format, list);
    va_end(list);
    return count;
}
SHIM(fprintf);
int shim_fputs(const char *text, void *to) { return fputs(text, stream(to)); }
SHIM(fputs);
int shim_fputc(int c, void *to) { return fputc(c, stream(to)); }
SHIM(fputc);
size_t shim_fwrite(const void *from, size_t size, size_t count, void *to) { return fwrite(from, size, count, stream(to)); }
SHIM(fwrite);
int shim_fflush(void *to) { return fflush(stream(to)); }
SHIM(fflush);
int shim_getc(void *from) { return getc(stream(from)); }
SHIM(getc);
int shim_ungetc(int c, void *from) { return ungetc(c, stream(from)); }
SHIM(ungetc);

/* bionic's table of character classes, one flag each, shifted by one place for EOF. */
static char classes[257];
const char *shim__ctype_ = classes;
SHIM(_ctype_);
__attribute__((constructor)) static void fill(void) {
    for (int c = 0; c < 128; c++) {
        classes[c + 1] = (isupper(c) ? 1 : 0) | (islower(c) ? 2 : 0) | (isdigit(c) ? 4 : 0) | (isspace(c) ? 8 : 0) |
                         (ispunct(c) ? 16 : 0) | (iscntrl(c) ? 32 : 0) | (isxdigit(c) && !isdigit(c) ? 64 : 0) |
                         (c == ' ' ? 128 : 0);
    }
}

#if !defined(__aarch64__)
unsigned long shim___stack_chk_guard = 0x5aff00ed;
SHIM(__stack_chk_guard);
#endif

/* Says where the library gave up, which a stack of an emulated process does not show. */
#include <dlfcn.h>
void shim_abort(void) {
    Dl_info at = {0};
    void *from = __builtin_return_address(0);
    dladdr(from, &at);
    fprintf(stderr, "abort() called at %s+%#lx\n", at.dli_fname ? at.dli_fname : "?", (long)((char *)from - (char *)at.dli_fbase));
    abort();
}
SHIM(abort);
