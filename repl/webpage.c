#include "repl/webpage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "repl/html.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/runs.h"
#include "viz/png.h"

/* Reading comes first: one column, the system's fonts, little colour. Charts are drawn on white and
 * stay so in the dark. */
static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2329;--muted:#5b6672;--line:#d9dee4;--paper:#fff;"
    "--tint:#f4f6f8;--link:#245a95}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#dde3ea;--muted:#9aa5b1;--line:#3a434d;"
    "--paper:#15191e;--tint:#1e242b;--link:#8ab8ea}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:72rem;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0;overflow-wrap:anywhere}\n"
    "h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.6rem;"
    "border-top:1px solid var(--line);overflow-wrap:anywhere}\n"
    "h3{font-size:1.05rem;margin:1.4rem 0 .4rem;overflow-wrap:anywhere}\n"
    "p{margin:.4rem 0 .8rem;max-width:46rem}\n"
    "header p,figcaption,footer{color:var(--muted)}\n"
    "a{color:var(--link)}\n"
    "nav ul{columns:16rem;padding-left:1.2rem;margin:.4rem 0}\n"
    ".scroll{overflow-x:auto;margin:.6rem 0 1rem}\n"
    "table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.22rem .6rem;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line)}\n"
    "td{white-space:pre-wrap;overflow-wrap:anywhere;min-width:3rem;max-width:42rem}\n"
    "td.n{white-space:nowrap}.list td.n{text-align:right}\n"
    "table+table{margin-top:1rem}\n"
    "td.json{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:.95em}\n"
    "thead th{background:var(--tint);white-space:nowrap}\n"
    "tbody th{color:var(--muted);font-weight:500;white-space:nowrap}\n"
    "th[aria-sort]{cursor:pointer}\n"
    "th[aria-sort]:focus-visible{outline:2px solid var(--link);outline-offset:-2px}\n"
    "th[aria-sort=ascending]::after{content:' \\2191'}\n"
    "th[aria-sort=descending]::after{content:' \\2193'}\n"
    "figure{margin:1rem 0}\n"
    "figure>img,figure>svg{display:block;max-width:100%;height:auto;background:#fff;"
    "border:1px solid var(--line);border-radius:4px}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--tint);padding:.7rem;"
    "margin:.3rem 0;border-radius:4px;font:.86rem/1.5 ui-monospace,'DejaVu Sans Mono',monospace}\n"
    "figcaption{font-size:.86rem;margin-top:.3rem}\n"
    ".pictures{display:flex;flex-wrap:wrap;gap:.8rem;margin:.8rem 0}\n"
    ".pictures figure{margin:0}\n"
    ".pictures img{image-rendering:pixelated;min-width:128px;min-height:128px}\n"
    "details{margin:.6rem 0}\n"
    "summary{cursor:pointer;color:var(--link)}\n"
    "@media(max-width:40rem){body{padding:.8rem;font-size:14px}}\n"
    "@media print{:root{--ink:#000;--muted:#444;--line:#bbb;--paper:#fff;--tint:#eee;--link:#000}"
    "body{max-width:none;padding:0;font-size:10pt}nav{display:none}"
    "h2,h3{break-after:avoid}figure,tr{break-inside:avoid}thead{display:table-header-group}"
    ".scroll{overflow:visible}table{font-size:7.5pt}th,td{padding:.1rem .3rem;min-width:0}}\n";

/* Sorts a table by the column whose heading was chosen: numbers by their full value, text as people
 * order it, what has no value last. Opens what is folded while the page is printed. */
static const char script[] =
    "'use strict';\n"
    "function key(row,i){const c=row.cells[i];if(!c)return null;"
    "if(c.dataset.v===undefined)return c.textContent===''?null:c.textContent;"
    "const n=Number(c.dataset.v);return Number.isNaN(n)?null:n}\n"
    "function order(a,b){if(typeof a==='number'&&typeof b==='number')return a<b?-1:a>b?1:0;"
    "return String(a).localeCompare(String(b),undefined,{numeric:true})}\n"
    "function sort(table,head,i){const up=head.getAttribute('aria-sort')!=='ascending';"
    "const body=table.tBodies[0],rows=Array.from(body.rows,(r,at)=>({r,at,k:key(r,i)}));"
    "rows.sort((a,b)=>a.k===null||b.k===null?(a.k===null)-(b.k===null)||a.at-b.at:"
    "(up?1:-1)*order(a.k,b.k)||a.at-b.at);"
    "for(const h of table.tHead.rows[0].cells)h.setAttribute('aria-sort','none');"
    "head.setAttribute('aria-sort',up?'ascending':'descending');"
    "body.append(...rows.map(x=>x.r))}\n"
    "for(const table of document.querySelectorAll('table.list')){"
    "Array.from(table.tHead.rows[0].cells).forEach((head,i)=>{head.setAttribute('aria-sort','none')"
    ";"
    "head.tabIndex=0;head.addEventListener('click',()=>sort(table,head,i));"
    "head.addEventListener('keydown',e=>{if(e.key==='Enter'||e.key===' '){e.preventDefault();"
    "sort(table,head,i)}})})}\n"
    "let shut=[];"
    "addEventListener('beforeprint',()=>{shut=[...document.querySelectorAll('details:not([open])')]"
    ";"
    "shut.forEach(d=>d.open=true)});"
    "addEventListener('afterprint',()=>shut.forEach(d=>d.open=false));\n";

void sh_webpage_release(struct sh_webpage *w)
{
    vq_text_release(&w->body);
    vq_text_release(&w->contents);
}

static void element(struct sh_webpage *w, const char *tag, const char *text)
{
    vq_text_printf(&w->body, "<%s>", tag);
    sh_html_string(&w->body, text);
    vq_text_printf(&w->body, "</%s>\n", tag);
}

void sh_webpage_section(struct sh_webpage *w, const char *heading)
{
    if (w->rc != SH_OK)
        return;
    vq_text_puts(&w->body, w->sections ? "</section>\n" : "");
    w->sections++;
    vq_text_printf(&w->body, "<section id=\"s%zu\">\n", w->sections);
    element(w, "h2", heading);
    vq_text_printf(&w->contents, "<li><a href=\"#s%zu\">", w->sections);
    sh_html_string(&w->contents, heading);
    vq_text_puts(&w->contents, "</a></li>\n");
}

void sh_webpage_heading(struct sh_webpage *w, const char *heading)
{
    if (w->rc == SH_OK)
        element(w, "h3", heading);
}

void sh_webpage_say(struct sh_webpage *w, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    if (w->rc != SH_OK)
        return;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (text)
        element(w, "p", text);
    else
        w->rc = sh_failf(w->sh, "out of memory");
    free(text);
}

void sh_webpage_fold(struct sh_webpage *w, const char *summary)
{
    if (w->rc != SH_OK)
        return;
    vq_text_puts(&w->body, "<details>");
    element(w, "summary", summary);
}

void sh_webpage_unfold(struct sh_webpage *w)
{
    if (w->rc == SH_OK)
        vq_text_puts(&w->body, "</details>\n");
}

void sh_webpage_command(struct sh_webpage *w, const char *command)
{
    if (w->rc != SH_OK)
        return;
    vq_text_puts(&w->body, "<div class=\"scroll\">\n");
    w->rc = sh_out_capture(w->sh, "html", command, &w->body);
    vq_text_puts(&w->body, "</div>\n");
}

static void put_data_url(struct vq_text *to, const uint8_t *data, size_t size)
{
    vq_text_puts(to, "data:image/png;base64,");
    sh_html_base64(to, data, size);
}

static enum vq_status put_canvas(struct sh_webpage *w, struct viz_canvas *c, const char *title,
                                 struct vq_err *err)
{
    uint8_t *png;
    size_t size;
    const uint8_t *rgb = viz_canvas_rgb(c, err);
    enum vq_status status = rgb ? VQ_OK : VQ_ENOMEM;
    if (status == VQ_OK)
        status = viz_png_encode(&png, &size, rgb, (size_t)c->w, (size_t)c->h, NULL, 0, err);
    if (status != VQ_OK)
        return status;
    vq_text_printf(&w->body, "<img width=\"%d\" height=\"%d\" alt=\"", c->w, c->h);
    sh_html_string(&w->body, title);
    vq_text_puts(&w->body, "\" src=\"");
    put_data_url(&w->body, png, size);
    vq_text_puts(&w->body, "\">");
    free(png);
    return VQ_OK;
}

void sh_webpage_plot(struct sh_webpage *w, const char *arguments, const char *caption)
{
    struct sh_chart chart;
    struct vq_err err = {0};
    if (w->rc != SH_OK)
        return;
    w->rc = sh_plot_chart(w->sh, arguments, &chart);
    if (w->rc != SH_OK)
        return;
    w->figures++;
    vq_text_puts(&w->body, "<figure>");
    if (put_canvas(w, chart.canvas, chart.title, &err) != VQ_OK)
        w->rc = sh_fail(w->sh, &err);
    element(w, "figcaption", caption);
    vq_text_puts(&w->body, "</figure>\n");
    viz_canvas_free(chart.canvas);
}

void sh_webpage_text(struct sh_webpage *w, const char *caption, const char *s, size_t n)
{
    if (w->rc != SH_OK)
        return;
    vq_text_puts(&w->body, "<figure>");
    element(w, "figcaption", caption);
    vq_text_puts(&w->body, "<pre>");
    sh_html_text(&w->body, s, n, true);
    vq_text_puts(&w->body, "</pre></figure>\n");
}

void sh_webpage_pictures_begin(struct sh_webpage *w)
{
    vq_text_puts(&w->body, "<div class=\"pictures\">\n");
}

void sh_webpage_pictures_end(struct sh_webpage *w)
{
    vq_text_puts(&w->body, "</div>\n");
}

void sh_webpage_picture(struct sh_webpage *w, const char *path, const char *caption)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G'};
    struct vq_file file;
    if (w->rc != SH_OK)
        return;
    bool there = vq_file_open(&file, path, NULL) == VQ_OK;
    bool png =
        there && file.size > sizeof(signature) && !memcmp(file.data, signature, sizeof(signature));
    w->figures++;
    vq_text_puts(&w->body, "<figure>");
    if (png) {
        vq_text_puts(&w->body, "<img alt=\"");
        sh_html_string(&w->body, caption);
        vq_text_puts(&w->body, "\" src=\"");
        put_data_url(&w->body, file.data, file.size);
        vq_text_puts(&w->body, "\">");
    }
    vq_text_puts(&w->body, "<figcaption>");
    sh_html_string(&w->body, caption);
    if (!png) {
        vq_text_puts(&w->body, there ? " (no PNG file: " : " (gone: ");
        sh_html_string(&w->body, path);
        vq_text_puts(&w->body, ")");
    }
    vq_text_puts(&w->body, "</figcaption></figure>\n");
    if (there)
        vq_file_close(&file);
}

static void put_head(struct vq_text *to, const char *title)
{
    char when[32];
    vq_text_puts(to, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                     "<meta name=\"generator\" content=\"vqsh " VQSH_VERSION "\">\n<title>");
    sh_html_string(to, title);
    vq_text_printf(to, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>", style);
    sh_html_string(to, title);
    vq_text_printf(to,
                   "</h1>\n<p>Made by vqsh " VQSH_VERSION " on %s UTC. Headings of tables sort "
                   "them.</p>\n</header>\n",
                   sh_utc(sh_wall(), when, sizeof(when)));
}

enum vq_status sh_webpage_write(struct sh_webpage *w, const char *path, const char *title,
                                size_t *size, struct vq_err *err)
{
    struct vq_text head = {0}, foot = {0};
    struct vq_writer *file = NULL;
    put_head(&head, title);
    vq_text_printf(&head, "<nav aria-label=\"Contents\"><ul>\n%s</ul></nav>\n<main>\n",
                   w->contents.data ? w->contents.data : "");
    vq_text_printf(&foot, "%s</main>\n<script>\n%s</script>\n</body>\n</html>\n",
                   w->sections ? "</section>\n" : "", script);
    bool failed = head.failed || foot.failed || w->body.failed || w->contents.failed;
    *size = head.len + w->body.len + foot.len;
    enum vq_status status = failed ? vq_fail(err, VQ_ENOMEM, "out of memory for the page")
                                   : vq_writer_open(&file, path, err);
    if (status == VQ_OK) {
        vq_writer_put(file, head.data, head.len, err);
        vq_writer_put(file, w->body.data, w->body.len, err);
        vq_writer_put(file, foot.data, foot.len, err);
        status = vq_writer_commit(file, err);
    }
    vq_text_release(&head);
    vq_text_release(&foot);
    return status;
}
