/* A QEMU 7.2 plugin that counts guest instructions between marks, for beside_tflite_insns.py.
 *
 * A program opens a window by prctl(0x42454e43, 1, ID) and closes it by prctl(0x42454e43, 2, ID); the plugin then
 * prints "window ID insns N". For one thread. Debian's QEMU comes without a header for plugins, so what is used of
 * qemu-plugin.h is declared here (docs/devel/tcg-plugins in QEMU's sources, plugin API version 1).
 *
 *   cc -shared -fPIC -O2 -o insn_windows.so insn_windows.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
/* Only the first field is read. */
struct qemu_info { const char *target_name; };
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t, void (*)(uint64_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                                                             uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
void qemu_plugin_outs(const char *);

enum { ADD_U64 = 0, MARK = 0x42454e43, OPEN = 1 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t executed, opened_at;
static int64_t prctl_number;

static void translated(uint64_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void called(uint64_t id, unsigned vcpu, int64_t number, uint64_t option, uint64_t what, uint64_t window,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)vcpu, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != prctl_number || (uint32_t)option != MARK)
        return;
    if (what == OPEN) {
        opened_at = executed;
        return;
    }
    char line[80];
    snprintf(line, sizeof line, "window %" PRIu64 " insns %" PRIu64 "\n", window, executed - opened_at);
    qemu_plugin_outs(line);
}

__attribute__((visibility("default")))
int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv) {
    (void)argc, (void)argv;
    prctl_number = strcmp(info->target_name, "arm") == 0 ? 172 : 167;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
