/*
 * out: results. A command says what it found, as one record or one listing, and this file writes it
 * in the format the user chose, one of SH_FORMAT_CHOICES. Results go to
 * stdout (or the file of `output`), everything else to stderr.
 *
 *     sh_record(sh);                                a single thing
 *     sh_int(sh, "position", 128);
 *     return sh_end(sh);
 *
 *     sh_list(sh, "rank id token prob logprob");    a listing: the columns in order
 *     for (...) {
 *         sh_row(sh);
 *         sh_int(sh, "rank", i);                    columns not mentioned become null
 *         sh_str(sh, "token", piece);
 *     }
 *     return sh_end(sh);
 *
 *     sh_ack(sh, "using model %s", name);           something done: a note for people, an object
 *     sh_str(sh, "name", name);                     in json and jsonl, nothing on stdout otherwise
 *     return sh_end(sh);
 *
 * Numbers are lossless in all formats but table and box, which show reals as %.6g, and html, which
 * shows them so and has them whole in an attribute. JSON keys are
 * the names given here. A command that fails before sh_end() leaves no half of a JSON value behind.
 * Failures to write stick and are reported once, by sh_end() or at the end of the command.
 */
#ifndef VQ_REPL_OUT_H
#define VQ_REPL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "repl/sh.h"

enum sh_format {
    SH_TABLE,
    SH_BOX,
    SH_CSV,
    SH_JSON,
    SH_JSONL,
    SH_MARKDOWN,
    SH_LINE,
    SH_PLAIN,
    SH_HTML
};
#define SH_FORMAT_CHOICES "table box csv json jsonl markdown line plain html"

/* Opening and closing of results. One is open at a time. */
void sh_record(struct sh *sh);
void sh_list(struct sh *sh, const char *columns); /* names separated by spaces */
/* The same for names that may hold anything; no two are equal. */
void sh_list_names(struct sh *sh, const char *const *names, size_t n);
void sh_row(struct sh *sh); /* begins the next row of the listing */
void sh_ack(struct sh *sh, const char *note, ...) __attribute__((format(printf, 2, 3)));
/* Writes what is not written yet. SH_OK, or SH_ERR after a failed write (reported). */
enum sh_rc sh_end(struct sh *sh);
/* Writes the rows of an open listing that are complete, where the format does not need them all
 * first: for listings that go on for as long as something runs. */
void sh_rows_out(struct sh *sh);
/* Columns or keys that are for machines: shown in json, jsonl, csv, not in table and box. Call
 * after sh_list() or sh_record(). */
void sh_columns_hidden(struct sh *sh, const char *columns);
/* Columns to show in full where others can be cut to make a table fit the screen: ids, times. */
void sh_columns_whole(struct sh *sh, const char *columns);
/* Columns that a table too wide for the screen can do without, the first of them first; those
 * without a value go before. A line below the table names what was left out. */
void sh_columns_spare(struct sh *sh, const char *columns);

/* Values, by column or key. */
void sh_int(struct sh *sh, const char *key, int64_t v);
void sh_uint(struct sh *sh, const char *key, uint64_t v);
void sh_f64(struct sh *sh, const char *key, double v);
void sh_f32(struct sh *sh, const char *key, float v);
void sh_bool(struct sh *sh, const char *key, bool v);
void sh_null(struct sh *sh, const char *key);
void sh_str(struct sh *sh, const char *key, const char *s); /* NULL: null */
void sh_strf(struct sh *sh, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Text of n bytes, any bytes; JSON gets U+FFFD for what is not UTF-8. */
void sh_bytes(struct sh *sh, const char *key, const char *s, size_t n);
/* A value that is JSON already ({...}, [1,2]). */
void sh_json(struct sh *sh, const char *key, const char *json);

/*
 * Running text, as `sample` makes it. In table, box, line and plain format it goes out as it comes
 * (flushed when the screen is a terminal, whose control characters are shown escaped, and where a
 * character is held until it is whole); in the other formats sh_out_is_text() is false and the call
 * does nothing: put the text into the result instead. sh_out_bytes_end() ends it with a newline
 * unless it has one.
 */
bool sh_out_is_text(const struct sh *sh);
void sh_out_bytes(struct sh *sh, const char *s, size_t n);
void sh_out_bytes_end(struct sh *sh);
/* A block of text made for people (help, a picture in the terminal): goes out as it is, through
 * the pager when it is longer than the screen. Terminal sequences belong in it only when
 * sh_out_terminal() is true. */
enum sh_rc sh_out_text(struct sh *sh, const char *s, size_t n);
/* The bytes of a file: as they are, or on a terminal with what could steer it escaped. */
enum sh_rc sh_out_file(struct sh *sh, const char *s, size_t n);

enum sh_format sh_out_format(const struct sh *sh); /* the one in effect */
bool sh_out_terminal(const struct sh *sh);         /* results go to a terminal */
bool sh_out_colour(const struct sh *sh);           /* and may be coloured */
int sh_out_columns(const struct sh *sh);           /* width to lay out for; 80 when unknown */
int sh_table_columns(const struct sh *sh);         /* width that tables must fit; 0: any */
int sh_out_rows(const struct sh *sh);              /* height of the terminal; 24 when unknown */

/* To stderr: a line for the user (not with --quiet), and one line that is rewritten in place, on a
 * terminal only, at most ten times a second; it vanishes before anything else is written. */
void sh_note(struct sh *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sh_progress(struct sh *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sh_progress_clear(struct sh *sh);

/*
 * For the shell itself.
 */
struct sh_out *sh_out_new(FILE *results, FILE *messages); /* NULL when out of memory */
void sh_out_free(struct sh_out *o);
/* Redirects results to a file, or back to the screen with NULL. The old file is closed. */
enum vq_status sh_out_redirect(struct sh *sh, const char *path, struct vq_err *err);
const char *sh_out_path(const struct sh *sh); /* NULL: the screen */
/* After each command: drops a result left open, flushes, reports a failed write as SH_ERR. */
enum sh_rc sh_out_finish(struct sh *sh, enum sh_rc rc);
/* True once the reader of stdout has gone (EPIPE): nothing more will be read, leave quietly. */
bool sh_out_gone(const struct sh *sh);
/* The stream for messages, with the progress line cleared. */
FILE *sh_out_messages(struct sh *sh);

#endif
