package xla

/*
#include "pjrt_c_api.h"

// least_limit gives the least memory that programs may have of the first so many devices that a client addresses; 0 where the plugin
// does not say it of each: PJRT_Device_MemoryStats need not be there, nor its limit be set.
static int64_t least_limit(const PJRT_Api *api, PJRT_Client *client, size_t devices) {
	if (!api->PJRT_Device_MemoryStats) return 0;
	PJRT_Client_AddressableDevices_Args own = {.struct_size = PJRT_Client_AddressableDevices_Args_STRUCT_SIZE, .client = client};
	PJRT_Error *error = api->PJRT_Client_AddressableDevices(&own);
	int64_t least = 0;
	for (size_t i = 0; !error && i < devices && i < own.num_addressable_devices; i++) {
		PJRT_Device_MemoryStats_Args s = {.struct_size = PJRT_Device_MemoryStats_Args_STRUCT_SIZE, .device = own.addressable_devices[i]};
		error = api->PJRT_Device_MemoryStats(&s);
		if (error || !s.bytes_limit_is_set || s.bytes_limit <= 0) least = -1;
		else if (least == 0 || (least > 0 && s.bytes_limit < least)) least = s.bytes_limit;
	}
	if (error) {
		PJRT_Error_Destroy_Args d = {.struct_size = PJRT_Error_Destroy_Args_STRUCT_SIZE, .error = error};
		api->PJRT_Error_Destroy(&d);
	}
	return error || least < 0 ? 0 : least;
}
*/
import "C"

import "unsafe"

// deviceMemory is what each of the first so many of a client's devices has for programs, such as the share of a GPU's that was taken;
// 0: the plugin does not say. Unit: bytes.
func (p *plugin) deviceMemory(client unsafe.Pointer, devices int) int64 {
	return int64(C.least_limit(p.api, (*C.PJRT_Client)(client), C.size_t(devices)))
}
