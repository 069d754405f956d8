-- All that is asked about many batches at once is in their index: how many rows and bytes, whose, since when. Rows of batch
-- are as far apart as their payloads are large: to add up those of a million read half a gigabyte, and takes 0.3 s from here.
-- It takes the place of the index that there was, for one index costs a publish less than two (none: where a topic ends is
-- read here as well). That no offset comes twice is for the statement that appends to see to.
CREATE INDEX batch_place ON batch (topic, offset, produced_us, tenant, row_count, byte_count);
DROP INDEX batch_offset;
