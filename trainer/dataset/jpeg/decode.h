// The C interface to libjpeg-turbo. Both functions give 0, or 1 with a message of at most MESSAGE bytes: for a truncated
// or corrupt file, too, which the library would only warn of.
enum { MESSAGE = 200 }; // JMSG_LENGTH_MAX

typedef struct {
  int width, height;
  int inks;  // cyan, magenta, yellow, black instead of red, green, blue
  int block; // columns that are decoded together
} header;

int decode_header(const unsigned char *data, unsigned long size, header *h, char *message);

// A part of an image that is shrunk by 1, 2, 4 or 8, in its pixels. x and width are multiples of a block's columns, or
// reach to the image's border.
typedef struct {
  int x, y, width, height, shrink;
} part;

// decode_part to pix: 3 bytes a pixel, or 4 of inks.
int decode_part(const unsigned char *data, unsigned long size, part p, unsigned char *pix, char *message);
