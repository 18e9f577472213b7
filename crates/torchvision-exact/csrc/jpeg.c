// JPEG files in memory, decoded by libjpeg with Pillow's inverse DCT. libjpeg reports an error by calling a function that must not
// return. Here that function jumps back to `run`, so that no frame of Rust is left by a jump.
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include "jpeg_idct.h"

#include <jdct.h>

// src/foreign/jpeg.rs has the same.
enum { DONE, FAILED, ENDED };
enum { MESSAGE = 200 };
typedef struct {
  uint32_t width, height, channels;
} Header;

_Static_assert(JMSG_LENGTH_MAX <= MESSAGE, "an error message fits");

typedef struct {
  struct jpeg_decompress_struct cinfo; // first: libjpeg hands out its address
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  jmp_buf escape;
  int outcome;
  int has_all_rows;
  char *message;
  uint8_t *pixels;
  size_t size;
} Decoder;

static void fail(j_common_ptr cinfo) {
  Decoder *decoder = (Decoder *)cinfo;
  if (decoder->outcome != ENDED) decoder->outcome = FAILED;
  cinfo->err->format_message(cinfo, decoder->message);
  longjmp(decoder->escape, 1);
}

static void ignore_message(j_common_ptr cinfo, int level) { (void)cinfo, (void)level; }

static void do_nothing(j_decompress_ptr cinfo) { (void)cinfo; }

// The file must not end: libjpeg would make up the rest, gray, and say nothing.
static boolean end(j_decompress_ptr cinfo) {
  ((Decoder *)cinfo)->outcome = ENDED;
  ERREXIT(cinfo, JERR_FILE_READ);
  return FALSE;
}

static void skip(j_decompress_ptr cinfo, long bytes) {
  if (bytes <= 0) return;
  if ((size_t)bytes > cinfo->src->bytes_in_buffer) end(cinfo);
  cinfo->src->next_input_byte += bytes;
  cinfo->src->bytes_in_buffer -= (size_t)bytes;
}

// Reads the header, then does the task. Errors and the end of the file lead back here.
static int run(Decoder *decoder, void (*task)(Decoder *)) {
  j_decompress_ptr cinfo = &decoder->cinfo;
  cinfo->err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = fail;
  decoder->errors.emit_message = ignore_message;
  if (setjmp(decoder->escape) == 0) {
    jpeg_create_decompress(cinfo);
    cinfo->src = &decoder->source;
    jpeg_read_header(cinfo, TRUE);
    int cmyk = cinfo->jpeg_color_space == JCS_CMYK || cinfo->jpeg_color_space == JCS_YCCK;
    cinfo->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    task(decoder);
  }
  jpeg_destroy_decompress(&decoder->cinfo);
  // What follows the last row may be missing, but not be damaged.
  return decoder->outcome == ENDED && decoder->has_all_rows ? DONE : decoder->outcome;
}

static Decoder decoder_of(const uint8_t *bytes, size_t length, char *message) {
  Decoder decoder;
  memset(&decoder, 0, sizeof decoder);
  decoder.source = (struct jpeg_source_mgr){bytes, length, do_nothing, end, skip, jpeg_resync_to_restart, do_nothing};
  decoder.message = message;
  return decoder;
}

static void read_nothing_more(Decoder *decoder) { (void)decoder; }

static void read_rows(Decoder *decoder) {
  j_decompress_ptr cinfo = &decoder->cinfo;
  jpeg_start_decompress(cinfo);
  // libjpeg has chosen a method for each component by now. Where it was compiled with an assembler, that is Pillow's own.
  for (int i = 0; i < cinfo->num_components; i++) {
    inverse_DCT_method_ptr *method = &cinfo->idct->inverse_DCT[i];
    if (*method == jpeg_idct_islow) *method = torchvision_exact_idct;
  }
  size_t row_length = (size_t)cinfo->output_width * (size_t)cinfo->output_components;
  if (row_length * cinfo->output_height != decoder->size) ERREXIT(cinfo, JERR_BUFFER_SIZE);
  while (cinfo->output_scanline < cinfo->output_height) {
    JSAMPROW row = decoder->pixels + cinfo->output_scanline * row_length;
    jpeg_read_scanlines(cinfo, &row, 1);
  }
  decoder->has_all_rows = 1;
  jpeg_finish_decompress(cinfo);
}

// Reads the size; `channels` is 3 for red, green, blue, or 4 for cyan, magenta, yellow and black. Gives DONE, ENDED, or FAILED and then a
// message of MESSAGE bytes at most, the last of them 0.
int torchvision_exact_jpeg_header(const uint8_t *bytes, size_t length, Header *header, char *message) {
  Decoder decoder = decoder_of(bytes, length, message);
  int outcome = run(&decoder, read_nothing_more);
  *header = (Header){decoder.cinfo.image_width, decoder.cinfo.image_height, decoder.cinfo.out_color_space == JCS_CMYK ? 4 : 3};
  return outcome;
}

// Decodes into the `size` bytes at `pixels`, row by row: width * height * channels of them, as the header says. Gives the same as
// the other.
int torchvision_exact_jpeg_decode(const uint8_t *bytes, size_t length, uint8_t *pixels, size_t size, char *message) {
  Decoder decoder = decoder_of(bytes, length, message);
  decoder.pixels = pixels;
  decoder.size = size;
  return run(&decoder, read_rows);
}
