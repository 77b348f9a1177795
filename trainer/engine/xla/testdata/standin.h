// What plugins that stand in for another one share: that one, which STANDIN_OF names, a table of its functions of which they change some,
// and errors of their own beside its.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"

static const PJRT_Api *real;
static PJRT_Api mine;

static struct own { PJRT_Error_Code code; size_t size; char text[512]; } errors[64];
static int made;

static PJRT_Error *make(PJRT_Error_Code code, const char *text, size_t size) {
	struct own *e = &errors[made++ % 64];
	e->code = code;
	e->size = size < sizeof e->text ? size : sizeof e->text;
	memcpy(e->text, text, e->size);
	return (PJRT_Error *)e;
}

static struct own *own(const PJRT_Error *e) {
	return (char *)e >= (char *)errors && (char *)e < (char *)(errors + 64) ? (struct own *)e : NULL;
}
static void error_message(PJRT_Error_Message_Args *a) {
	struct own *e = own(a->error);
	if (!e) { real->PJRT_Error_Message(a); return; }
	a->message = e->text;
	a->message_size = e->size;
}
static PJRT_Error *error_code(PJRT_Error_GetCode_Args *a) {
	struct own *e = own(a->error);
	if (!e) return real->PJRT_Error_GetCode(a);
	a->code = e->code;
	return NULL;
}
static void error_destroy(PJRT_Error_Destroy_Args *a) {
	if (!own(a->error)) real->PJRT_Error_Destroy(a);
}

// stand_in makes mine the real one's table, but for what errors need; 0: there is no real one.
static int stand_in(void) {
	void *handle = dlopen(getenv("STANDIN_OF"), RTLD_NOW | RTLD_LOCAL);
	if (!handle) return 0;
	const PJRT_Api *(*get)(void) = dlsym(handle, "GetPjrtApi");
	real = get();
	memcpy(&mine, real, real->struct_size < sizeof mine ? real->struct_size : sizeof mine);
	mine.PJRT_Error_Message = error_message;
	mine.PJRT_Error_GetCode = error_code;
	mine.PJRT_Error_Destroy = error_destroy;
	return 1;
}
