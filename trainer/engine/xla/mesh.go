package xla

/*
#include "pjrt_c_api.h"

// described is a device as all processes see it.
typedef struct {
	int64_t id, process;
	int local; // its number among those that this process addresses; -1: it does not
} described;

// list_devices gives the number of devices, and the first so many; -1 where the plugin cannot say.
static int list_devices(const PJRT_Api *api, PJRT_Client *client, described *out, int most) {
	PJRT_Client_Devices_Args a = {.struct_size = PJRT_Client_Devices_Args_STRUCT_SIZE, .client = client};
	PJRT_Client_AddressableDevices_Args own = {.struct_size = PJRT_Client_AddressableDevices_Args_STRUCT_SIZE, .client = client};
	if (api->PJRT_Client_Devices(&a) || api->PJRT_Client_AddressableDevices(&own)) return -1;
	for (size_t i = 0; i < a.num_devices && i < (size_t)most; i++) {
		PJRT_Device_GetDescription_Args d = {.struct_size = PJRT_Device_GetDescription_Args_STRUCT_SIZE, .device = a.devices[i]};
		if (api->PJRT_Device_GetDescription(&d)) return -1;
		PJRT_DeviceDescription_Id_Args id = {.struct_size = PJRT_DeviceDescription_Id_Args_STRUCT_SIZE, .device_description = d.device_description};
		PJRT_DeviceDescription_ProcessIndex_Args p = {.struct_size = PJRT_DeviceDescription_ProcessIndex_Args_STRUCT_SIZE, .device_description = d.device_description};
		if (api->PJRT_DeviceDescription_Id(&id) || api->PJRT_DeviceDescription_ProcessIndex(&p)) return -1;
		out[i].id = id.id;
		out[i].process = p.process_index;
		out[i].local = -1;
		for (size_t n = 0; n < own.num_addressable_devices; n++)
			if (own.addressable_devices[n] == a.devices[i]) out[i].local = n;
	}
	return a.num_devices;
}
*/
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// mesh is the devices that a program is for: of each process as many, in the order of processes. So a process has its part of a
// batch's rows in one piece, and addresses as many devices as it has parts.
type mesh struct {
	ids   []int64 // of all, in the order of the parts
	first int     // the first part of this process
	local []int   // the numbers of this process's devices among those that it addresses, in the order of its parts
	named bool    // by ids: there are other processes, and programs say which devices are theirs
}

// alone is the mesh of this process's devices.
func (m mesh) alone() mesh {
	m.ids, m.first = m.ids[m.first:m.first+len(m.local)], 0
	return m
}

// single is the mesh of a process with so many devices.
func single(devices int) mesh {
	m := mesh{ids: make([]int64, devices), local: make([]int, devices)}
	for i := range devices {
		m.local[i] = i
	}
	return m
}

// mostDevices of one program.
const mostDevices = 1 << 16

// meshOf the devices of all processes, the first so many of each; 0: all.
func (p *plugin) meshOf(client unsafe.Pointer, processes *Processes, each int) (m mesh, err error) {
	found := make([]C.described, mostDevices)
	n := int(C.list_devices(p.api, (*C.PJRT_Client)(client), &found[0], mostDevices))
	if n < 0 || n > mostDevices {
		return m, errors.New("the plugin does not say which devices the program's processes have")
	}
	of := map[int][]C.described{}
	for _, d := range found[:n] {
		of[int(d.process)] = append(of[int(d.process)], d)
	}
	if len(of) != processes.Size {
		return m, fmt.Errorf("the plugin sees the devices of %d processes, and the run has %d workers", len(of), processes.Size)
	}
	if each == 0 {
		each = len(of[processes.Rank])
	}
	for rank := range processes.Size {
		if len(of[rank]) < each || each == 0 {
			return m, fmt.Errorf("worker %d has %d devices, and each is to have %d", rank, len(of[rank]), max(each, 1))
		}
		slices.SortFunc(of[rank], func(a, b C.described) int { return cmp.Compare(a.id, b.id) })
		for _, d := range of[rank][:each] {
			m.ids = append(m.ids, int64(d.id))
			if own := d.local >= 0; own != (rank == processes.Rank) {
				return m, fmt.Errorf("the plugin takes device %d for worker %d's, and worker %d is not it: its number of a process is another than its rank", int(d.id), rank, processes.Rank)
			} else if own {
				m.local = append(m.local, int(d.local))
			}
		}
	}
	m.first, m.named = processes.Rank*each, true
	return m, nil
}

// compileOptions are XLA's for a program of all devices: go-xla 0.4.1 can name only those that this process addresses. They are a
// CompileOptionsProto (xla/pjrt/proto/compile_options.proto): one replica, as many partitions as devices, Shardy.
func (m mesh) compileOptions() []byte {
	number := func(b []byte, field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	message := func(b []byte, field protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
	}
	assignment := number(number(nil, 1, 1), 2, uint64(len(m.ids))) // replica_count, computation_count
	for _, id := range m.ids {
		assignment = message(assignment, 3, message(nil, 1, protowire.AppendVarint(nil, uint64(id)))) // computation_devices
	}
	minus1 := ^uint64(0)
	build := number(nil, 1, minus1)                            // device_ordinal: none
	build = number(number(build, 4, 1), 5, uint64(len(m.ids))) // num_replicas, num_partitions
	build = message(number(build, 6, 1), 9, assignment)        // use_spmd_partitioning, device_assignment
	return message(nil, 3, number(build, 19, 1))               // executable_build_options with use_shardy_partitioner
}
