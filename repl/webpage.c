#include "repl/webpage.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "repl/html.h"
#include "repl/inner.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/runs.h"
#include "viz/svg.h"

enum {
    FLUSH_AT = 1 << 16,    /* bytes that are held before they are written */
    MOST_PICTURE = 4 << 20 /* bytes of a picture file that the page takes in */
};

/* ---- the file ---- */

static bool fine(const struct sh_webpage *w)
{
    return w->rc == SH_OK;
}

static void fail(struct sh_webpage *w, const struct vq_err *err)
{
    if (fine(w))
        w->rc = sh_fail(w->sh, err);
}

static void write_out(struct sh_webpage *w)
{
    struct vq_err err = {0};
    if (w->out.failed)
        vq_fail(&err, VQ_ENOMEM, "out of memory for the page");
    else if (fine(w) && w->out.len)
        vq_writer_put(w->file, w->out.data, w->out.len, &err);
    if (err.code != VQ_OK)
        fail(w, &err);
    w->bytes += w->out.len;
    w->out.len = 0;
}

void sh_webpage_flush(struct sh_webpage *w)
{
    if (w->out.failed || w->out.len > FLUSH_AT)
        write_out(w);
    if (fine(w) && vq_cancelled(sh_cancel(w->sh)))
        w->rc = sh_interrupted(w->sh);
}

static void put(struct sh_webpage *w, const char *html)
{
    if (fine(w))
        vq_text_puts(&w->out, html);
}

static void put_string(struct sh_webpage *w, const char *text)
{
    if (fine(w))
        sh_html_string(&w->out, text);
}

static void element(struct sh_webpage *w, const char *tag, const char *text)
{
    if (fine(w))
        sh_html_element(&w->out, tag, text);
}

void sh_webpage_open(struct sh_webpage *w, const char *path, const char *title)
{
    struct vq_err err = {0};
    char when[32];
    if (vq_writer_open(&w->file, path, &err) != VQ_OK)
        fail(w, &err);
    put(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\" />\n"
           "<meta name=\"generator\" content=\"vqsh " VQSH_VERSION "\" />\n");
    element(w, "title", title);
    put(w, "<style>/*<![CDATA[*/\n");
    put(w, sh_webpage_style);
    put(w, "/*]]>*/</style>\n</head>\n<body>\n<header>\n");
    element(w, "h1", title);
    put(w, "<p class=\"by\">");
    put_string(w, sh_utc(sh_wall(), when, sizeof(when)));
    put(w, " UTC, vqsh " VQSH_VERSION "</p>\n</header>\n");
}

enum sh_rc sh_webpage_close(struct sh_webpage *w, size_t *bytes)
{
    struct vq_err err = {0};
    put(w, "</main>\n<script>/*<![CDATA[*/\n");
    put(w, sh_webpage_script);
    put(w, "/*]]>*/</script>\n</body>\n</html>\n");
    write_out(w);
    sh_progress_clear(w->sh);
    if (!fine(w))
        vq_writer_abort(w->file);
    else if (vq_writer_commit(w->file, &err) != VQ_OK)
        fail(w, &err);
    *bytes = w->bytes;
    vq_text_release(&w->out);
    return w->rc;
}

/* ---- parts ---- */

static void put_contents(struct sh_webpage *w, const struct sh_webpage_part *parts, size_t n,
                         const void *ud)
{
    put(w, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < n; i++) {
        if (parts[i].there && !parts[i].there(ud))
            continue;
        put(w, "<li><a href=\"#");
        put_string(w, parts[i].id);
        put(w, "\">");
        put_string(w, parts[i].heading);
        put(w, "</a></li>\n");
    }
    put(w, "</ul></nav>\n");
}

void sh_webpage_parts(struct sh_webpage *w, const struct sh_webpage_part *parts, size_t n, void *ud)
{
    put_contents(w, parts, n, ud);
    put(w, "<main>\n");
    for (size_t i = 0; i < n && fine(w); i++) {
        if (parts[i].there && !parts[i].there(ud))
            continue;
        sh_progress(w->sh, "%s", parts[i].heading);
        w->sections++;
        put(w, parts[i].small ? "<section class=\"flow\" id=\"" : "<section id=\"");
        put_string(w, parts[i].id);
        put(w, "\">\n");
        element(w, "h2", parts[i].heading);
        parts[i].put(w, ud);
        put(w, "</section>\n");
        sh_webpage_flush(w);
    }
}

void sh_webpage_heading(struct sh_webpage *w, const char *heading)
{
    element(w, "h3", heading);
}

/* An element with formatted text. */
__attribute__((format(printf, 3, 0))) static void elementf(struct sh_webpage *w, const char *tag,
                                                           const char *fmt, va_list ap)
{
    char *text = NULL;
    if (!fine(w))
        return;
    if (vasprintf(&text, fmt, ap) < 0)
        w->rc = sh_failf(w->sh, "out of memory");
    else
        element(w, tag, text);
    free(text);
}

void sh_webpage_say(struct sh_webpage *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    elementf(w, "p", fmt, ap);
    va_end(ap);
}

void sh_webpage_fold(struct sh_webpage *w, const char *id, const char *summary, bool open)
{
    put(w, "<details");
    if (id) {
        put(w, " class=\"leaf\" id=\"");
        put_string(w, id);
        put(w, "\"");
    }
    put(w, open ? " open=\"open\">" : ">");
    element(w, "summary", summary);
}

void sh_webpage_unfold(struct sh_webpage *w)
{
    put(w, "</details>\n");
}

void sh_webpage_beside(struct sh_webpage *w)
{
    put(w, "<div class=\"beside\">\n");
}

void sh_webpage_beside_end(struct sh_webpage *w)
{
    put(w, "</div>\n");
}

/* ---- tiles and facts ---- */

void sh_webpage_tiles(struct sh_webpage *w)
{
    put(w, "<dl class=\"tiles\">\n");
}

void sh_webpage_tile(struct sh_webpage *w, const char *name, const char *fmt, ...)
{
    va_list ap;
    put(w, "<div>");
    element(w, "dt", name);
    va_start(ap, fmt);
    elementf(w, "dd", fmt, ap);
    va_end(ap);
    put(w, "</div>\n");
}

void sh_webpage_tiles_end(struct sh_webpage *w)
{
    put(w, "</dl>\n");
}

void sh_webpage_facts(struct sh_webpage *w)
{
    put(w, "<dl class=\"facts\">\n");
}

void sh_webpage_fact(struct sh_webpage *w, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    element(w, "dt", name);
    element(w, "dd", value);
}

void sh_webpage_factf(struct sh_webpage *w, const char *name, const char *fmt, ...)
{
    va_list ap;
    element(w, "dt", name);
    va_start(ap, fmt);
    elementf(w, "dd", fmt, ap);
    va_end(ap);
}

void sh_webpage_facts_end(struct sh_webpage *w)
{
    put(w, "</dl>\n");
}

/* ---- tables ---- */

/* A caption, and the command that a reader could repeat; either may be NULL. */
static void put_caption(struct sh_webpage *w, const char *caption, const char *command)
{
    if (!caption && !command)
        return;
    put(w, "<figcaption>");
    put_string(w, caption ? caption : "");
    put(w, caption && command ? " " : "");
    if (command)
        element(w, "code", command);
    put(w, "</figcaption>\n");
}

static void begin_table(struct sh_webpage *w, const char *caption, const char *command)
{
    w->tables++;
    put(w, "<figure class=\"table\">\n");
    put_caption(w, caption, command);
    put(w, "<div class=\"scroll\" tabindex=\"0\">\n");
}

static void end_table(struct sh_webpage *w)
{
    put(w, "</div>\n</figure>\n");
    sh_webpage_flush(w);
}

void sh_webpage_table(struct sh_webpage *w, const char *caption)
{
    begin_table(w, caption, NULL);
}

void sh_webpage_columns(struct sh_webpage *w, const char *const *names, const bool *numbers,
                        size_t n)
{
    put(w,
        numbers ? "<table class=\"list\"><thead><tr>" : "<table class=\"list left\"><thead><tr>");
    for (size_t i = 0; i < n; i++) {
        put(w, numbers && numbers[i] ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        put_string(w, names[i]);
        put(w, "</th>");
    }
    put(w, "</tr></thead><tbody>\n");
}

void sh_webpage_row(struct sh_webpage *w)
{
    put(w, "<tr>");
}

void sh_webpage_cell(struct sh_webpage *w, const struct vq_value *v)
{
    if (fine(w))
        sh_html_cell(&w->out, v);
}

void sh_webpage_link(struct sh_webpage *w, const char *id, const char *text)
{
    put(w, "<td><a href=\"#");
    put_string(w, id);
    put(w, "\">");
    put_string(w, text);
    put(w, "</a></td>");
}

void sh_webpage_digits(struct sh_webpage *w, const char *digits)
{
    put(w, "<td class=\"n\" data-v=\"");
    put_string(w, digits);
    put(w, "\">");
    put_string(w, digits);
    put(w, "</td>");
}

void sh_webpage_moment(struct sh_webpage *w, double seconds)
{
    char when[32];
    if (!fine(w))
        return;
    if (!isfinite(seconds)) {
        put(w, "<td></td>");
        return;
    }
    vq_text_puts(&w->out, "<td class=\"t\" data-v=\"");
    vq_text_json_f64(&w->out, seconds);
    vq_text_printf(&w->out, "\">%s</td>", sh_utc(seconds, when, sizeof(when)));
}

void sh_webpage_row_end(struct sh_webpage *w)
{
    put(w, "</tr>\n");
    sh_webpage_flush(w);
}

void sh_webpage_table_end(struct sh_webpage *w)
{
    put(w, "</tbody></table>\n");
    end_table(w);
}

static void table_of(struct sh_webpage *w, const char *caption, const char *command,
                     enum sh_rc (*list)(struct sh *sh, void *ud), void *ud)
{
    begin_table(w, caption, command);
    if (fine(w))
        w->rc = sh_inner_html(w->sh, &w->out, list, ud);
    end_table(w);
}

void sh_webpage_list(struct sh_webpage *w, const char *caption,
                     enum sh_rc (*list)(struct sh *sh, void *ud), void *ud)
{
    table_of(w, caption, NULL, list, ud);
}

static enum sh_rc run_line(struct sh *sh, void *ud)
{
    return sh_inner(sh, ud, NULL, NULL);
}

void sh_webpage_command(struct sh_webpage *w, const char *command, const char *shown)
{
    table_of(w, NULL, shown ? shown : command, run_line, (void *)(uintptr_t)command);
}

/* ---- pictures and texts ---- */

static void put_png(struct sh_webpage *w, const uint8_t *data, size_t size, const char *alt)
{
    put(w, "alt=\"");
    put_string(w, alt);
    put(w, "\" src=\"data:image/png;base64,");
    if (fine(w))
        vq_text_base64(&w->out, data, size);
    put(w, "\" />");
}

/* As SVG, whose ids begin with the number of the chart: they hold for the whole page. */
static void put_chart(struct sh_webpage *w, const struct sh_chart *chart)
{
    char prefix[32];
    char *svg;
    size_t size;
    struct vq_err err = {0};
    snprintf(prefix, sizeof(prefix), "c%zu-", w->figures);
    if (viz_svg_inline(&svg, &size, chart->canvas, prefix, &err) != VQ_OK) {
        fail(w, &err);
        return;
    }
    put(w, "<div role=\"img\" aria-label=\"");
    put_string(w, chart->title);
    put(w, "\">");
    vq_text_put(&w->out, svg, size);
    put(w, "</div>");
    free(svg);
}

void sh_webpage_plot(struct sh_webpage *w, const char *arguments, const char *shown,
                     const char *caption)
{
    struct sh_chart chart;
    char *command = NULL;
    if (fine(w))
        w->rc = sh_plot_chart(w->sh, arguments, &chart);
    if (!fine(w))
        return;
    w->figures++;
    put(w, "<figure class=\"chart\">");
    put_chart(w, &chart);
    if (shown && asprintf(&command, "plot %s", shown) < 0)
        command = NULL;
    put_caption(w, caption, command);
    put(w, "</figure>\n");
    viz_canvas_free(chart.canvas);
    free(command);
    sh_webpage_flush(w);
}

void sh_webpage_text(struct sh_webpage *w, const char *caption, const char *s, size_t n)
{
    put(w, "<figure class=\"text\">");
    put_caption(w, caption, NULL);
    put(w, "<pre>");
    if (fine(w))
        sh_html_text(&w->out, s, n, true);
    put(w, "</pre></figure>\n");
    sh_webpage_flush(w);
}

void sh_webpage_pictures(struct sh_webpage *w)
{
    put(w, "<div class=\"pictures\">\n");
}

void sh_webpage_pictures_end(struct sh_webpage *w)
{
    put(w, "</div>\n");
}

/* Why a file is not put into the page; NULL if it is. */
static const char *refuse(const struct vq_file *file, bool there)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (!there)
        return "gone";
    if (file->size > MOST_PICTURE)
        return "too large";
    if (file->size < sizeof(signature) || memcmp(file->data, signature, sizeof(signature)) != 0)
        return "no PNG file";
    return NULL;
}

void sh_webpage_picture(struct sh_webpage *w, const char *path, const char *caption)
{
    struct vq_file file;
    if (!fine(w))
        return;
    bool there = vq_file_open(&file, path, NULL) == VQ_OK;
    const char *why = refuse(&file, there);
    w->figures++;
    put(w, "<figure>");
    if (!why) {
        put(w, "<img ");
        put_png(w, file.data, file.size, caption);
    }
    put(w, "<figcaption>");
    put_string(w, caption);
    if (why) {
        vq_text_printf(&w->out, " (%s: ", why);
        put_string(w, path);
        put(w, ")");
    }
    put(w, "</figcaption></figure>\n");
    if (there)
        vq_file_close(&file);
    sh_webpage_flush(w);
}
