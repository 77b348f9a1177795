package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
)

// shardCache keeps whole shards in memory, the ones that were used last: of a source over a network a shard is read at
// once, instead of with a request for each of its images.
type shardCache struct {
	from source
	ctx  context.Context
	most int64 // bytes of shards that are kept

	mu     sync.Mutex
	shards map[string]*cachedShard
	bytes  int64
	clock  int64
}

// cachedShard is read while done is open.
type cachedShard struct {
	done chan struct{}
	data []byte
	err  error
	size int64
	used int64
}

// read a part of a shard.
func (c *shardCache) read(shard string, size, offset, length int64) ([]byte, error) {
	c.mu.Lock()
	c.clock++
	s, ok := c.shards[shard]
	if !ok {
		c.makeRoom(size)
		s = &cachedShard{done: make(chan struct{}), size: size}
		c.shards[shard] = s
		c.bytes += size
	}
	s.used = c.clock
	c.mu.Unlock()
	if !ok {
		s.data, s.err = readAt(c.ctx, c.from, shard, 0, size)
		close(s.done)
	}
	<-s.done
	if s.err != nil {
		c.forget(shard, s)
		return nil, s.err
	}
	return bytes.Clone(s.data[offset : offset+length]), nil // so that a kept image does not keep the shard
}

// makeRoom for a shard: those that were used longest ago go, but for those that are being read.
func (c *shardCache) makeRoom(size int64) {
	for c.bytes+size > c.most {
		oldest := ""
		for name, s := range c.shards {
			select {
			case <-s.done:
				if oldest == "" || s.used < c.shards[oldest].used {
					oldest = name
				}
			default:
			}
		}
		if oldest == "" {
			return
		}
		c.bytes -= c.shards[oldest].size
		delete(c.shards, oldest)
	}
}

// forget a shard that could not be read: the next one who asks tries again.
func (c *shardCache) forget(shard string, s *cachedShard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shards[shard] == s {
		c.bytes -= s.size
		delete(c.shards, shard)
	}
}

// readAt reads a part of a file.
func readAt(ctx context.Context, from source, name string, offset, length int64) ([]byte, error) {
	f, _, err := from.open(ctx, name, offset)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, length)
	if n, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("wanted %d bytes from %d on, got %d: %w", length, offset, n, err)
	}
	return data, nil
}
