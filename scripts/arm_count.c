/* A QEMU plugin: guest instructions by class on aarch64. Each getppid of the guest writes the counts so far. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define GETPPID 173

enum { FMA, DOT, WIDENING, OTHER_VECTOR, MEMORY, REST, CLASSES };
static const char *names[CLASSES] = {"fma", "dot", "widening", "vector", "memory", "rest"};
static uint64_t counts[CLASSES];

static int class_of(uint32_t word)
{
    if ((word & 0xBFA0FC00) == 0x0E20CC00 || (word & 0xBF80F400) == 0x0F801000 ||
        (word & 0xBFA0FC00) == 0x0EA0CC00 || (word & 0xBF80F400) == 0x0F805000)
        return FMA; /* fmla, fmls: vector and by element */
    if ((word & 0x9FE0FC00) == 0x0E809400 || (word & 0x9FC0F400) == 0x0F80E000)
        return DOT; /* sdot, udot */
    if ((word & 0x9F200C00) == 0x0E200000 || (word & 0x9F00F400) == 0x0F002000 ||
        (word & 0x9F00F400) == 0x0F00A000)
        return WIDENING; /* smlal, smull, saddw and their like */
    if ((word & 0x0A000000) == 0x08000000)
        return MEMORY;
    return (word & 0x0E000000) == 0x0E000000 ? OTHER_VECTOR : REST;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &counts[class_of(word)], 1);
    }
}

static void called(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != GETPPID)
        return;
    fprintf(stderr, "counts");
    for (int i = 0; i < CLASSES; i++)
        fprintf(stderr, " %s=%" PRIu64, names[i], counts[i]);
    fprintf(stderr, "\n");
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
