/*
 * Android's code reads its stack guard from the thread's sixth word (arm64), where glibc keeps the first library's
 * thread-local variables. Preloaded, this one is the first, and its words never change.
 */
__thread char words[64] = {1};
