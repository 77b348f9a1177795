#include <setjmp.h>
#include <stdio.h> // jpeglib.h needs it

#include <jpeglib.h>

#include "decode.h"

// A progressive file may not have so many scans that decoding takes for ever (libjpeg-turbo's own TJFLAG_LIMITSCANS).
enum { MOST_SCANS = 500 };

typedef struct {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf failed;
  char *message;
} decoder;

static void fail(j_common_ptr jpeg) {
  decoder *d = jpeg->client_data;
  d->errors.format_message(jpeg, d->message);
  longjmp(d->failed, 1);
}

static void stop_on_warning(j_common_ptr jpeg, int level) {
  if (level < 0) fail(jpeg);
}

static void limit_scans(j_common_ptr jpeg) {
  decoder *d = jpeg->client_data;
  if (d->jpeg.input_scan_number <= MOST_SCANS) return;
  snprintf(d->message, MESSAGE, "more than %d scans", MOST_SCANS);
  longjmp(d->failed, 1);
}

// start reads the header. The caller has set failed's jump.
static void start(decoder *d, const unsigned char *data, unsigned long size) {
  d->jpeg.err = jpeg_std_error(&d->errors);
  d->errors.error_exit = fail;
  d->errors.emit_message = stop_on_warning;
  d->jpeg.client_data = d;
  jpeg_create_decompress(&d->jpeg);
  d->progress.progress_monitor = limit_scans;
  d->jpeg.progress = &d->progress;
  jpeg_mem_src(&d->jpeg, data, size);
  jpeg_read_header(&d->jpeg, TRUE);
}

static int has_inks(const decoder *d) { return d->jpeg.jpeg_color_space == JCS_CMYK || d->jpeg.jpeg_color_space == JCS_YCCK; }

int decode_header(const unsigned char *data, unsigned long size, header *h, char *message) {
  decoder d = {.message = message};
  if (setjmp(d.failed)) {
    jpeg_destroy_decompress(&d.jpeg);
    return 1;
  }
  start(&d, data, size);
  h->width = d.jpeg.image_width;
  h->height = d.jpeg.image_height;
  h->inks = has_inks(&d);
  int factor = 1; // as jpeg_crop_scanline has it: max_h_samp_factor is not known yet
  for (int i = 0; i < d.jpeg.num_components && d.jpeg.num_components > 1; i++)
    if (d.jpeg.comp_info[i].h_samp_factor > factor) factor = d.jpeg.comp_info[i].h_samp_factor;
  h->block = factor * DCTSIZE;
  jpeg_destroy_decompress(&d.jpeg);
  return 0;
}

int decode_part(const unsigned char *data, unsigned long size, part p, unsigned char *pix, char *message) {
  decoder d = {.message = message};
  if (setjmp(d.failed)) {
    jpeg_destroy_decompress(&d.jpeg);
    return 1;
  }
  start(&d, data, size);
  d.jpeg.out_color_space = has_inks(&d) ? JCS_CMYK : JCS_RGB;
  d.jpeg.scale_num = 1;
  d.jpeg.scale_denom = p.shrink;
  jpeg_start_decompress(&d.jpeg);
  JDIMENSION x = p.x, width = p.width;
  if (width < d.jpeg.output_width) jpeg_crop_scanline(&d.jpeg, &x, &width);
  if (x != (JDIMENSION)p.x || width != (JDIMENSION)p.width) {
    snprintf(message, MESSAGE, "%d columns from %d are no whole blocks", p.width, p.x);
    longjmp(d.failed, 1);
  }
  if (p.y > 0) jpeg_skip_scanlines(&d.jpeg, p.y);
  const unsigned long stride = (unsigned long)p.width * d.jpeg.output_components;
  const JDIMENSION end = p.y + p.height;
  while (d.jpeg.output_scanline < end) {
    JSAMPROW rows[16];
    JDIMENSION n = 0;
    for (; n < 16 && d.jpeg.output_scanline + n < end; n++) rows[n] = pix + (d.jpeg.output_scanline - p.y + n) * stride;
    jpeg_read_scanlines(&d.jpeg, rows, n);
  }
  if (end == d.jpeg.output_height) jpeg_finish_decompress(&d.jpeg); // and is not cut off
  jpeg_destroy_decompress(&d.jpeg);
  return 0;
}
